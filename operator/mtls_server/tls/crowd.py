"""Clients that are slow to shake hands while others wait."""

import asyncio
from collections.abc import Callable, Collection
from itertools import islice
from typing import Final

from mtls_server.tls.handshake import Handshake
from mtls_server.tls.sockets import Limits

DROPS_PER_PASS: Final = 16


class Crowd:
    """Makes room where there is none, by ending the handshakes that their clients delay.

    It goes by their own delay, since behind a NAT many share an address.
    """

    def __init__(
        self, handshakes: Collection[Handshake], limits: Limits, is_full: Callable[[], bool]
    ) -> None:
        """Wait for `notice`.

        Args:
            handshakes: that are under way; who is made to end leaves it.
            limits: of what is admitted.
            is_full: tells whether others wait.
        """
        self._loop = asyncio.get_running_loop()
        self._handshakes = handshakes
        self._patience = limits.crowded_hello_seconds, limits.crowded_handshake_seconds
        self._is_full = is_full
        self._pending: asyncio.Handle | None = None

    def notice(self) -> None:
        """Take note that there is no room: if that lasts, make some."""
        if self._pending is None and self._handshakes:
            self._pending = self._loop.call_later(self._patience[0], self._look)

    def stop(self) -> None:
        """Let everybody take their time."""
        if self._pending is not None:
            self._pending.cancel()

    def _look(self) -> None:
        if self._is_full():
            self._drop_some()
        else:
            self._pending = None

    def _drop_some(self) -> None:
        delayed = (one for one in self._handshakes if one.is_delayed_by_client(*self._patience))
        dropped = list(islice(delayed, DROPS_PER_PASS))
        for handshake in dropped:
            handshake.make_room()
        self._pending = self._loop.call_soon(self._drop_some) if dropped else None
        if not dropped and self._is_full():
            self.notice()
