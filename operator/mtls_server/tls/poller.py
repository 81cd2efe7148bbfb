"""Which descriptors are ready: all of a listener's behind one registration with the event loop."""

import asyncio
import select
from collections.abc import Callable
from typing import Final

from mtls_server.tls.batch import Batches, report

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
MAX_READY: Final = 256
"""Descriptors in one pass of the event loop; the others' turn comes in the next."""

Tell = Callable[[int], object]
"""Takes what a descriptor is ready for: `READABLE`, `WRITABLE`, and unasked ``EPOLLERR`` and ``EPOLLHUP``."""


class Poller:
    """Tells whose descriptors are ready (epoll(7), level-triggered), then does the steps that this leads to.

    A registration of its own with libuv costs each connection a dozen system calls, and one that has told of
    an error is deaf afterwards. Here it costs two, and an error is told until the descriptor is discarded.
    """

    __slots__ = ("_epoll", "_loop", "_told", "batches")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: dict[int, Tell] = {}
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._poll)
        self.batches = Batches()
        """The steps."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be added."""
        return self._epoll.closed

    def add(self, descriptor: int, tell: Tell) -> None:
        """Tell somebody whenever a descriptor is readable."""
        self._epoll.register(descriptor, READABLE)
        self._told[descriptor] = tell

    def hand_over(self, descriptor: int, tell: Tell) -> None:
        """Tell somebody else from now on."""
        self._told[descriptor] = tell

    def watch(self, descriptor: int, events: int, tell: Tell) -> None:
        """Tell somebody of these events from now on."""
        self._epoll.modify(descriptor, events)
        self._told[descriptor] = tell

    def discard(self, descriptor: int) -> None:
        """Tell nobody any more, if anybody was; the descriptor is still open."""
        if self._told.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def forget(self, descriptor: int) -> None:
        """Take note that a descriptor has been closed, which has ended its registration."""
        self._told.pop(descriptor, None)

    def close(self) -> None:
        """End; nothing is watched any more."""
        if not self.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _poll(self) -> None:
        self.batches.hold()
        teller = self._told.get
        for descriptor, events in self._epoll.poll(0, MAX_READY):
            tell = teller(descriptor)
            if tell is None:  # discarded by one before it
                continue
            try:
                tell(events)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - reported as the loop reports its own callbacks
                report(self._loop, tell, error)
        self.batches.run()
