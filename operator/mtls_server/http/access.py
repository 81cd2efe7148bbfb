"""The access log: a line for each request, by choice, of who asked for what and what became of it.

Never a certificate, and never a query string, which may hold secrets.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import BinaryIO, Final

import msgspec

from mtls_server.identity import Identity
from mtls_server.tls.transport import TlsTransport

LOGGER: Final = logging.getLogger("mtls_server")
MAX_TEXT: Final = 256
"""Characters of a path, or of a name."""


class Line(msgspec.Struct, omit_defaults=True):
    """A line, as JSON."""

    time: str
    """When the response ended, in RFC 3339."""
    event: str
    """``request`` or ``websocket``."""
    peer: str
    """Address of the client."""
    client: str | None
    source: str | None
    spiffe_id: str | None
    method: str | None
    """None, as is the path: the head of the request could not be read."""
    path: str | None
    """Canonical; None: there is none that all read alike."""
    status: int | None
    """None: the connection ended before a response began."""
    duration: float
    """Seconds from the request's turn on its connection."""
    bytes: int
    """Of the response's body; of a WebSocket, all that the caller was sent."""
    reason: str = ""
    """Why the request was refused, so that no application saw it."""
    aborted: bool = False
    """The response did not come to its end."""


def caller(identity: Identity | None) -> tuple[str | None, str | None, str | None]:
    """Return client name, source and SPIFFE ID; all None of a caller that is not served."""
    if identity is None:
        return None, None, None
    spiffe_id = identity.spiffe_id
    return identity.client, identity.source, spiffe_id[:MAX_TEXT] if spiffe_id is not None else None


class AccessLog:
    """Writes lines, all of one pass of the event loop at once.

    It follows the listener, for a WebSocket ends with its connection.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._encoder = msgspec.json.Encoder()
        self._waiting: list[bytes] = []
        self._at_end: dict[TlsTransport, Callable[[], Line]] = {}

    def write(self, line: Line) -> None:
        """Write a line soon."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(self._encoder.encode(line))

    def write_at_end(self, transport: TlsTransport, line: Callable[[], Line]) -> None:
        """Write a line when the connection is lost."""
        self._at_end[transport] = line

    def add(self, transport: TlsTransport) -> None:
        """Take no note of a connection on which nothing was asked yet."""

    def discard(self, transport: TlsTransport) -> None:
        """Write what is to be written at the end of a connection."""
        line = self._at_end.pop(transport, None)
        if line is not None:
            self.write(line())

    def _flush(self) -> None:
        lines, self._waiting = self._waiting, []
        try:
            self._stream.write(b"\n".join([*lines, b""]))
            self._stream.flush()
        except OSError as error:
            LOGGER.error("lines of the access log are lost: %s", error.strerror)  # noqa: TRY400 - said in words
