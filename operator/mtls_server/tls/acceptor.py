"""New connections, taken from the kernel while there is room."""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from mtls_server.tls.poller import Poller

ACCEPTS_PER_PASS: Final = 16
"""So that a rush of new clients does not keep the connected ones waiting."""
SHORTAGES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
SHORTAGE_SECONDS: Final = 1.0


class Acceptor:
    """Accepts on one port; while it does not, new clients wait in the kernel's backlog."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        poller: Poller,
        take: Callable[[socket.socket, object], None],
        paused: Callable[[str], None],
    ) -> None:
        """Wait for `accept_if`.

        Args:
            sockets: listening, non-blocking; closed by `stop`.
            poller: of the listener.
            take: gets each new connection, non-blocking, and the client's address.
            paused: is told, in words, why none is accepted for a while although there is room.
        """
        self._sockets = sockets
        self._poller = poller
        self._take = take
        self._paused = paused
        self._has_room = False
        self._shortage: asyncio.TimerHandle | None = None
        self.accepting = False
        """Whether new clients are taken at this moment."""

    @property
    def stopped(self) -> bool:
        """Whether the sockets are closed."""
        return not self._sockets

    def accept_if(self, *, room: bool) -> None:
        """Accept from now on, or do not."""
        self._has_room = room
        accepting = room and self._shortage is None
        if accepting is self.accepting or not self._sockets:
            return
        self.accepting = accepting
        for one in self._sockets:
            if accepting:
                self._poller.add(one.fileno(), partial(self._accept, one))
            else:
                self._poller.discard(one.fileno())

    def stop(self) -> None:
        """Close the listening sockets."""
        self.accept_if(room=False)
        if self._shortage is not None:
            self._shortage.cancel()
        sockets, self._sockets = self._sockets, ()
        for one in sockets:
            one.close()

    def _accept(self, listening: socket.socket, _events: int) -> None:
        for _ in range(ACCEPTS_PER_PASS):
            if not self.accepting:
                return
            try:
                accepted, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # else the client is gone already: accept(2), "Error handling"
                if error.errno in SHORTAGES:
                    self._pause(error)
            else:
                accepted.settimeout(0)
                self._take(accepted, address)

    def _pause(self, error: OSError) -> None:
        self._paused(error.strerror or str(error))
        self._shortage = asyncio.get_running_loop().call_later(SHORTAGE_SECONDS, self._resume)
        self.accept_if(room=self._has_room)

    def _resume(self) -> None:
        self._shortage = None
        self.accept_if(room=self._has_room)
