"""What gathers requests from the bytes that a client sends, and bounds what may be held back."""

from collections import deque
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config

from mtls_server.http.gate import HEAD_TOO_LARGE, MALFORMED, MAX_HEAD_BYTES
from mtls_server.http.graceful import DrainState, GracefulProtocol
from mtls_server.http.reply import Reply

DROPPED_TRAILERS: Final = cast("list[tuple[bytes, bytes]]", deque(maxlen=0))
"""Takes the place of the fields once the head is complete, so that none is added."""


class RefusedRequestError(Exception):
    """Stops the parser."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class ParsedProtocol(GracefulProtocol):
    """Gathers the head of each request, and passes bodies on; trailers are never merged into the fields.

    The parser calls the methods whose names begin with ``on_``.
    """

    __slots__ = (
        "_advanced",
        "_awaits_leave",
        "_in_body",
        "_unfinished",
        "headers",
        "parser",
        "url",
    )

    def __init__(self, config: Config, server_state: DrainState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.parser = httptools.HttpRequestParser(self)
        # What comes after a request that ends the connection is not that request's failure.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._unfinished = 0
        self._advanced = self._in_body = self._awaits_leave = False

    def connection_lost(self, error: Exception | None) -> None:
        """Let go of the parser, which holds on to this protocol."""
        super().connection_lost(error)
        del self.parser

    def data_received(self, data: bytes) -> None:
        """Parse, and bound what the parser may hold back: an unfinished head, field or trailer."""
        self._advanced = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            reply = _reply_to(error)
            if not self.transport.is_closing():
                self.refuse(reply)
            return
        except httptools.HttpParserUpgrade as upgrade:
            self.upgrade(data[upgrade.args[0] :])
            return
        self._unfinished = 0 if self._advanced else self._unfinished + len(data)
        if self._unfinished > MAX_HEAD_BYTES:
            self.refuse(HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.head_begun = True
        self._awaits_leave = False
        self.url = b""
        self.headers = []

    def on_url(self, piece: bytes) -> None:
        """Gather the target."""
        self.url += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """Gather the fields."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._awaits_leave = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Decide on the request whose head is complete.

        Raises:
            RefusedRequestError: it goes no further.
        """
        raise NotImplementedError

    def on_body(self, piece: bytes) -> None:
        """Pass it on; the parser holds nothing back."""
        self._advanced = True
        self.add_body(piece)

    def on_message_complete(self) -> None:
        """Note that the parser holds nothing back."""
        self._advanced = True
        self._in_body = False
        self.end_body()

    def refuse(self, reply: Reply) -> None:
        """Answer if that can still be, and close."""
        raise NotImplementedError

    def upgrade(self, early: bytes) -> None:
        """Change to another protocol, as the newest request asks; `early` is what came after its head."""
        raise NotImplementedError


def _reply_to(error: httptools.HttpParserError) -> Reply:
    """Return the answer to what stopped the parser, if that is no mistake of ours."""
    if isinstance(error.__context__, RefusedRequestError):
        return error.__context__.reply
    if isinstance(error, httptools.HttpParserCallbackError):
        raise error
    return MALFORMED
