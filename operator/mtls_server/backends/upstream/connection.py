"""One connection to the server behind this one: a request, its response, and perhaps the next."""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Final, cast

from mtls_server.backends.upstream.deadline import Deadline
from mtls_server.backends.upstream.failures import (
    CLOSED,
    MALFORMED,
    STALLED,
    TIMEOUT,
    ExchangeError,
    StaleError,
)
from mtls_server.backends.upstream.heads import Body, Request
from mtls_server.backends.upstream.response import MalformedError, Response, ResponseHead
from mtls_server.backends.upstream.telemetry import UpstreamTelemetry
from mtls_server.http.reply import Reply

HIGH_WATER: Final = 1 << 16
"""How much of a body waits here before the server is not read any further."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds."""

    connect: float = 5.0
    response: float = 60.0
    """For the head of the response, once the request has been sent."""
    idle: float = 60.0
    """For the next bytes of a body, either way."""
    websocket: float = 600.0
    """For the next bytes of a WebSocket, either way."""


class Connection(asyncio.Protocol):
    """Sends a request and reads its response, each piece when the other side is ready for it.

    At any time at most one task sends, and at most one reads.
    """

    def __init__(self, timeouts: Timeouts, telemetry: UpstreamTelemetry) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._telemetry = telemetry
        self._begun = 0.0
        self._transport: asyncio.Transport
        self._request: Request
        self._response: Response | None = None
        """None while the connection waits for its next request."""
        self._request_sent = False
        self._error: Exception | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading_paused = False
        self._arrived: asyncio.Future[None] | None = None
        self._deadline = Deadline(self._on_overdue)
        self._failure: Reply = TIMEOUT
        self.has_served = False
        self.idle_since = 0.0
        """Loop time at which the latest exchange ended."""

    @property
    def is_usable(self) -> bool:
        """Whether the connection still waits for a request."""
        return self._error is None and not self._transport.is_closing()

    def begin(self, request: Request) -> None:
        """Send the head of a request; its body follows by `send`."""
        self._request = request
        self._response = Response(to_head=request.is_head, may_switch=request.opens_websocket)
        self._request_sent = False
        self._begun = perf_counter()
        self._telemetry.request_begun(kept=self.has_served)
        self._transport.write(request.head)
        if request.body is Body.NONE:
            self._end_request()

    async def send(self, piece: bytes, *, more: bool) -> None:
        """Send a piece of the body, and return when there is room for another."""
        if self._request_sent:
            return
        if self._request.body is Body.CHUNKED:
            self._transport.write(_chunk(piece, more=more))
        else:
            self._transport.write(piece)
        if not self._writable.is_set():
            self._allow(self._timeouts.idle, STALLED)
            await self._writable.wait()
            if self._awaits_head() or self._arrived is None:  # else it is also the time of a piece awaited
                self._allow(None)
        if not more:
            self._end_request()

    async def head(self) -> ResponseHead:
        """Wait for the head of the final response.

        Raises:
            StaleError: the connection had served before, and ended without a byte of an answer.
            ExchangeError: there is none.
        """
        response = cast("Response", self._response)
        while response.head is None:
            await self._more()
        self._allow(None)
        self._telemetry.response_begun(perf_counter() - self._begun)
        return response.head

    async def read(self) -> tuple[bytes, bool]:
        """Wait for the next piece of the body, and tell whether more may follow.

        Raises:
            ExchangeError: the response ends too early.
        """
        response = cast("Response", self._response)
        while not (response.waiting or response.complete):
            self._resume_reading()
            self._allow(self._timeouts.idle, STALLED)
            await self._more()
            self._allow(None)
        return response.take(), not response.complete

    def finish(self) -> bool:
        """End the exchange, and tell whether the connection waits for the next."""
        response, self._response = self._response, None
        if response and response.complete and response.keeps_alive and self._request_sent and self.is_usable:
            self._resume_reading()
            self.has_served = True
            self.idle_since = self._loop.time()
            return True
        self.abort(None)
        return False

    def switch(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, bytes]:
        """Give the connection away after 101, with what has come after that already."""
        response = cast("Response", self._response)
        self._transport.set_protocol(protocol)
        self._deadline.cancel()
        return self._transport, response.rest

    def abort(self, error: Exception | None) -> None:
        """Close at once; whoever waits gets the error."""
        self._error = self._error or error
        self._transport.abort()
        self._writable.set()
        self._wake()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._telemetry.connection_opened()
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a piece of the response; what comes unasked ends the connection."""
        response = self._response
        if response is None:
            self.abort(None)
            return
        try:
            response.feed(data)
        except MalformedError:
            self.abort(ExchangeError(MALFORMED))
            return
        if response.waiting > HIGH_WATER and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits, unless the response ends with the connection."""
        self._telemetry.connection_closed()
        self._deadline.cancel()
        response = self._response
        if response is not None and self._error is None:
            self._error = self._why_lost(response, error)
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        """Have `send` wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Have `send` go on."""
        self._writable.set()

    def _why_lost(self, response: Response, error: Exception | None) -> Exception | None:
        if self.has_served and not response.begun:
            return StaleError()
        try:
            if error is None:
                response.feed_eof()
                return None
        except MalformedError:
            pass
        return None if response.complete else ExchangeError(CLOSED)

    # Waiting

    def _end_request(self) -> None:
        self._request_sent = True
        if self._awaits_head():
            self._allow(self._timeouts.response, TIMEOUT)

    def _awaits_head(self) -> bool:
        return self._response is not None and self._response.head is None

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    async def _more(self) -> None:
        """Wait until anything has happened."""
        if self._error is not None:
            raise self._error
        self._arrived = self._loop.create_future()
        await self._arrived
        self._arrived = None
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _allow(self, seconds: float | None, failure: Reply = TIMEOUT) -> None:
        """Fail so, unless something is allowed anew within so many seconds; None: take your time."""
        self._failure = failure
        self._deadline.allow(seconds)

    def _on_overdue(self) -> None:
        self.abort(ExchangeError(self._failure))


def _chunk(piece: bytes, *, more: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
    return chunk if more else chunk + b"0\r\n\r\n"
