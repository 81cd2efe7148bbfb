"""Reading a response, without any I/O (RFC 9112 §6.3)."""

from dataclasses import dataclass
from typing import Final

import httptools

MAX_HEAD_BYTES: Final = 1 << 16
_END_OF_HEAD: Final = b"\r\n\r\n"


class MalformedError(Exception):
    """What came is no response, or ended too early."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status, and fields with names in lower case."""

    status: int
    fields: list[tuple[bytes, bytes]]


class Response:
    """Takes bytes as they come, and holds what they mean.

    The parser gets each head by itself. So interim responses are told apart, a response to HEAD ends where
    its head does, and what follows a response is noticed.
    """

    def __init__(self, *, to_head: bool, may_switch: bool = False) -> None:
        """Await a response.

        Args:
            to_head: it has no body, whatever its fields say.
            may_switch: it may be 101, after which what comes is another protocol's.
        """
        self._to_head = to_head
        self._may_switch = may_switch
        self._parser = httptools.HttpResponseParser(self)
        self._unparsed = bytearray()
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._until_close = False
        self._without_progress = 0
        self.head: ResponseHead | None = None
        """Of the final response, once it is here."""
        self.complete = False
        self.waiting = 0
        """Bytes of the body that are here and not taken."""
        self.keeps_alive = False
        """Whether the connection serves another request, once this response is complete."""
        self.begun = False
        """Whether any byte has come."""
        self.rest = b""
        """What came of another protocol, if the response may switch to one."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            MalformedError: they are none of a response.
        """
        self.begun = True
        self._without_progress += len(data)
        try:
            if self.head is None:
                data = self._feed_heads(data)
            if self.complete:
                self._note_rest(data)
            elif data:
                self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.complete:
                raise MalformedError from error
            self._note_rest(data)
        if self._without_progress > MAX_HEAD_BYTES and not self.complete:  # endless trailers
            raise MalformedError

    def feed_eof(self) -> None:
        """Note that nothing more comes.

        Raises:
            MalformedError: the response is not complete.
        """
        if not (self.complete or self._until_close):
            raise MalformedError
        self.complete = True

    def take(self) -> bytes:
        """Return what has come of the body since the last time."""
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.waiting = 0
        return piece

    def _feed_heads(self, data: bytes) -> bytes:
        """Read the head of the final response, and those before it; return what follows."""
        self._unparsed += data
        while self.head is None:
            end = self._unparsed.find(_END_OF_HEAD) + len(_END_OF_HEAD)
            if end < len(_END_OF_HEAD):
                if len(self._unparsed) > MAX_HEAD_BYTES:
                    raise MalformedError
                return b""
            head = bytes(self._unparsed[:end])
            del self._unparsed[:end]
            try:
                self._parser.feed_data(head)
            except httptools.HttpParserUpgrade:  # 101, which `on_headers_complete` has judged
                self.complete = True
        rest = bytes(self._unparsed)
        self._unparsed.clear()
        return rest

    def _note_rest(self, data: bytes) -> None:
        if data:
            self.keeps_alive = False
            if self._may_switch:
                self.rest += data

    # What the parser calls

    def on_message_begin(self) -> None:
        """Refuse a response that nobody asked for."""
        if self.complete:
            raise MalformedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a field; trailers are dropped."""
        if self.head is None:
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        status = self._parser.get_status_code()
        fields, self._fields = self._fields, []
        codings = [value.strip().lower() for name, value in fields if name == b"transfer-encoding"]
        version = self._parser.get_http_version()
        if (
            version not in {"1.0", "1.1"}
            or codings not in ([], [b"chunked"])
            or (codings and version == "1.0")
        ):
            raise MalformedError
        if not 100 <= status < 600 or (status == 101 and not self._may_switch):
            raise MalformedError
        if status < 200 and status != 101:
            return
        self.head = ResponseHead(status, fields)
        self.keeps_alive = self._parser.should_keep_alive()
        bodiless = self._to_head or status in {101, 204, 304}
        self.complete = bodiless
        self._until_close = not (bodiless or codings or any(name == b"content-length" for name, _ in fields))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._without_progress = 0
        self._pieces.append(body)
        self.waiting += len(body)

    def on_message_complete(self) -> None:
        """Note the end, unless it is that of an interim response."""
        self.complete = self.head is not None
