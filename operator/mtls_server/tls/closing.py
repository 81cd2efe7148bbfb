"""The end of a connection whose last bytes must still reach the peer."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

MAX_SECONDS: Final = 2.0
MAX_BYTES: Final = 1 << 22
CHUNK: Final = 1 << 16


class LingeringClose:
    """Half-closes, discards what the peer still sends, and closes at its end of stream.

    Closing at once with unread data would make the kernel send RST, which overtakes the alert or the
    response. `socket.socket`'s own methods are called because those of an `SSLSocket` would speak TLS, or,
    after its `shutdown` or a completed `unwrap`, plaintext.
    """

    __slots__ = ("_budget", "_loop", "_released", "_socket", "_timer")

    def __init__(
        self,
        last: socket.socket,
        released: Callable[["LingeringClose"], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = last
        self._released = released
        self._budget = MAX_BYTES
        self._timer = self._loop.call_later(MAX_SECONDS, self.abort)
        try:
            socket.socket.shutdown(last, socket.SHUT_WR)
        except OSError:
            self._loop.call_soon(self.abort)
        else:
            self._loop.add_reader(last, self._discard)

    def _discard(self) -> None:
        try:
            discarded = len(socket.socket.recv(self._socket, CHUNK))
        except BlockingIOError:
            return
        except OSError:
            discarded = 0
        self._budget -= discarded
        if not discarded or self._budget < 0:
            self.abort()

    def abort(self) -> None:
        """Close now."""
        if self._socket.fileno() < 0:
            return
        self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._released(self)
