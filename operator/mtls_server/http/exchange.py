"""One request and its response, as an ASGI application sees them (HTTP, version 2.3)."""

import asyncio
import logging
from typing import Final, Protocol, cast

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveEvent,
    ASGISendEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
)

from mtls_server.http.reply import CLOSE, refusal
from mtls_server.http.response import LAST_CHUNK, Head, encode_chunk, encode_head

LOGGER: Final = logging.getLogger("mtls_server")
MAX_BODY_WAITING: Final = 1 << 16
"""Bytes of a request's body that wait for the application before no more is read."""
LEFT: Final = "mtls.left"
"""Key in a scope of a future that is done if the client leaves before its response is complete, for those who
cannot wait for what `receive` says."""
FAILED: Final = refusal(500, "application_failed", "the application failed; its error is logged", CLOSE)
_BODILESS: Final = {204, 304}


class Connection(Protocol):
    """What an exchange is part of."""

    transport: asyncio.Transport
    writable: asyncio.Event | None
    """None where more can be written, else set when it can."""
    loop: asyncio.AbstractEventLoop
    running: set[asyncio.Task[None]]
    """Tasks of applications that wait for something, so that nobody collects them."""

    def default_fields(self) -> bytes:
        """Return fields of every response, encoded."""

    def resume_reading(self) -> None:
        """Read on."""

    def end_turn(self) -> None:
        """A response is complete."""


class Exchange:
    """Passes events between an application and the connection.

    `keep_alive` says if the connection goes on after it, `more_body` if something of the request's body is
    still to come, `started` if something of the response was sent, `complete` if all of it was.
    """

    __slots__ = (
        "_body",
        "_chunked",
        "_connection",
        "_has_news",
        "_head",
        "_head_only",
        "_left",
        "_missing",
        "_news",
        "application",
        "awaits_leave",
        "complete",
        "disconnected",
        "keep_alive",
        "more_body",
        "scope",
        "started",
    )

    def __init__(
        self,
        connection: Connection,
        application: ASGI3Application,
        scope: HTTPScope,
        *,
        keep_alive: bool,
        awaits_leave: bool,
    ) -> None:
        """Wait to be run.

        Args:
            connection: the response is written to its transport.
            application: answers.
            scope: of the request.
            keep_alive: whether the client wants the connection to go on.
            awaits_leave: whether the client sends the body only after ``100 Continue``.
        """
        self._connection = connection
        self.application = application
        self.scope = scope
        self.keep_alive = keep_alive
        self.awaits_leave = awaits_leave
        self.more_body = True
        self.disconnected = False
        self.complete = False
        self.started = False
        self._left = scope[LEFT] = connection.loop.create_future()  # type: ignore[typeddict-unknown-key]
        self._body = bytearray()
        self._head: Head | None = None
        self._has_news = False
        self._news: asyncio.Event | None = None

    def run(self) -> None:
        """Run the application in a task, at once until it waits for something; many never do."""
        task = asyncio.Task(self._run(), loop=self._connection.loop, eager_start=True)
        if not task.done():
            self._connection.running.add(task)
            task.add_done_callback(self._connection.running.discard)

    def add_body(self, piece: bytes) -> bool:
        """Pass a piece of the request's body on, and tell whether more may come."""
        self._body += piece
        self._tell()
        return not self.is_full()

    def is_full(self) -> bool:
        """Tell whether more of the body waits for the application than should."""
        return len(self._body) > MAX_BODY_WAITING

    def end_body(self) -> None:
        """Tell that nothing more is to come."""
        self.more_body = False
        self._tell()

    def disconnect(self) -> None:
        """Tell that the client has left."""
        self.disconnected = True
        self._left.set_result(None)
        self._tell()

    def cut(self) -> None:
        """End the connection, but not so that its client could take that for the end of the body."""
        if self.started and not (self.complete or self._chunked or self._missing is not None):
            self._connection.transport.abort()
        else:
            self._connection.transport.close()

    async def _run(self) -> None:
        try:
            await self.application(self.scope, self._receive, self._send)
            if not (self.complete or self.disconnected):
                LOGGER.error("the application returned before its response was complete")
                await self._fail()
        except BaseException:
            LOGGER.exception("the application failed")
            await self._fail()

    async def _fail(self) -> None:
        if self.complete:  # the connection is another request's by now
            return
        if self.started:
            self.cut()
        else:
            self._head = None
            await FAILED(self.scope, self._receive, self._send)

    async def _receive(self) -> ASGIReceiveEvent:
        transport = self._connection.transport
        if self.awaits_leave and not transport.is_closing():
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.awaits_leave = False
        if not (self.disconnected or self.complete):
            self._connection.resume_reading()
            await self._await_news()
        if self.disconnected or self.complete:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def _send(self, event: ASGISendEvent) -> None:
        writable = self._connection.writable
        if writable is not None and not self.disconnected:
            await writable.wait()
        if self.disconnected:
            await asyncio.sleep(0)  # an application that sends for ever would let nobody else run
            return
        if event["type"] == "http.response.start" and self._head is None:
            self._start(event)
        elif event["type"] == "http.response.body" and self._head is not None and not self.complete:
            self._continue(event)
        else:
            raise RuntimeError(f"the application sent {event['type']} where that cannot be")

    def _start(self, event: HTTPResponseStartEvent) -> None:
        """Keep the head until something of the body comes: until then a failure can still be told."""
        status = event["status"]
        self._head_only = self.scope["method"] == "HEAD" or status in _BODILESS
        in_chunks = not self._head_only and self.scope["http_version"] == "1.1"
        head = encode_head(
            status,
            event.get("headers", ()),
            self._connection.default_fields(),
            keep_alive=self.keep_alive,
            chunked=in_chunks,
        )
        self._head, self.keep_alive, self._missing = head, head.keep_alive, head.length
        self._chunked = in_chunks and head.length is None

    def _continue(self, event: HTTPResponseBodyEvent) -> None:
        more = event.get("more_body", False)
        piece = b"" if self._head_only else self._framed(event.get("body", b""), more=more)
        if not self.started:
            piece = self._head_to_send() + piece
            self.started = True
            self.awaits_leave = False
        self._connection.transport.write(piece)
        if not more:
            self.complete = True
            self._tell()
            if not self.keep_alive:
                self._connection.transport.close()
            self._connection.end_turn()

    def _head_to_send(self) -> bytes:
        """Return the head, which may have learned meanwhile that the connection is about to end."""
        head = cast("Head", self._head)
        return head.encoded if self.keep_alive else head.closing()

    def _framed(self, piece: bytes, *, more: bool) -> bytes:
        if self._chunked:
            return encode_chunk(piece) if more else encode_chunk(piece) + LAST_CHUNK
        if self._missing is not None:
            self._missing -= len(piece)
            if self._missing < 0 or (self._missing and not more):
                raise RuntimeError("the response's body is not as long as its Content-Length says")
        return piece

    def _tell(self) -> None:
        self._has_news = True
        if self._news is not None:
            self._news.set()

    async def _await_news(self) -> None:
        """Wait for something that `_receive` has not told yet; few applications need to."""
        if not self._has_news:
            self._news = self._news or asyncio.Event()
            self._news.clear()
            await self._news.wait()
        self._has_news = False
