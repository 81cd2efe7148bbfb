"""The end of a connection whose last bytes must still reach the peer.

`socket.socket`'s own methods are called here, because those of an `SSLSocket` would speak TLS, or, after
its `shutdown` or a completed `unwrap`, plaintext.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from mtls_server.tls.poller import Poller

MAX_SECONDS: Final = 2.0
CHUNK: Final = 1 << 16
MAX_CHUNKS: Final = 64


def has_ended(last: socket.socket) -> bool:
    """Tell whether the peer has sent all it will; a piece of anything else it sent is thrown away."""
    try:
        return not socket.socket.recv(last, CHUNK)
    except BlockingIOError:
        return False
    except OSError:
        return True


class LingeringClose:
    """Half-closes, discards what the peer still sends, and closes at its end of stream.

    Closing at once with unread data would make the kernel send RST, which overtakes the alert or the
    response.
    """

    __slots__ = ("_chunks", "_last", "_poller", "_released", "_timer")

    def __init__(
        self, last: socket.socket, poller: Poller, released: Callable[["LingeringClose"], None]
    ) -> None:
        """Take over a non-blocking socket that nobody watches; `released` is called when it is closed."""
        loop = asyncio.get_running_loop()
        self._poller = poller
        self._last = last
        self._released = released
        self._chunks = MAX_CHUNKS
        self._timer = loop.call_later(MAX_SECONDS, self.abort)
        try:
            socket.socket.shutdown(last, socket.SHUT_WR)
        except OSError:
            loop.call_soon(self.abort)
        else:
            poller.add(last.fileno(), self._on_readable)

    def _on_readable(self, _events: int) -> None:
        self._chunks -= 1
        if has_ended(self._last) or not self._chunks:
            self.abort()

    def abort(self) -> None:
        """Close now."""
        if self._last.fileno() < 0:
            return
        self._timer.cancel()
        self._poller.discard(self._last.fileno())
        self._last.close()
        self._released(self)
