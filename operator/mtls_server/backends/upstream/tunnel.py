"""WebSockets with the server behind this one: after it agreed, bytes pass as they are, both ways."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.server import ServerState

from mtls_server.authorization.routes import Routes
from mtls_server.backends.upstream.connection import Connection
from mtls_server.backends.upstream.deadline import Deadline
from mtls_server.backends.upstream.failures import MALFORMED, ExchangeError
from mtls_server.backends.upstream.frames import Frames, close_frame
from mtls_server.backends.upstream.heads import UPGRADE, request_to, response_fields
from mtls_server.backends.upstream.pool import Pool
from mtls_server.backends.upstream.response import ResponseHead
from mtls_server.backends.upstream.telemetry import UpstreamTelemetry
from mtls_server.backends.websocket import CLOSE_SECONDS, POLICY_VIOLATION, still_permitted
from mtls_server.files.material import Peer
from mtls_server.http.response import STATUS_LINES

GOING_AWAY: Final = 1001
"""RFC 6455 §7.4.1."""
SERVICE_RESTART: Final = 1012
"""In IANA's registry of WebSocket close codes."""


class Tunnel(asyncio.Protocol):
    """The caller's side, which says nothing before the server has agreed (RFC 6455 §4.1)."""

    def __init__(
        self,
        pool: Pool,
        with_chain: bool,  # noqa: FBT001 - bound by position, before what uvicorn passes
        _config: Config,
        _server_state: ServerState,
        _app_state: dict[str, Any],
        request: HTTPScope,
    ) -> None:
        self._pool = pool
        self._opening = request
        self._request = request_to(pool.target, request, with_chain=with_chain, opens_websocket=True)
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None]
        self._far: FarSide | None = None
        self._deadline = Deadline(partial(self._close, GOING_AWAY))
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the server."""
        self._transport = cast("asyncio.Transport", transport)
        self._task = asyncio.get_running_loop().create_task(self._open())

    def data_received(self, data: bytes) -> None:
        """Pass on what the caller says."""
        if self._far is None:
            self._transport.close()
        else:
            self._progress()
            self._far.transport.write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """Leave the server, too, after it got what is still under way."""
        self._task.cancel()
        self._deadline.cancel()
        if self._far is not None:
            self._far.transport.close()

    def pause_writing(self) -> None:
        """Hold the server back."""
        self._writable.clear()
        if self._far is not None:
            self._far.hold_back()

    def resume_writing(self) -> None:
        """Let the server go on."""
        self._writable.set()
        if self._far is not None:
            self._far.go_on()

    def shutdown(self) -> None:
        """End because this server does."""
        self._close(SERVICE_RESTART)

    def judged_again(self, peer: Peer, routes: Routes) -> float | None:
        """Go on if the caller is who it was; else close, for it may come back as who it is now.

        Returns:
            How many seconds that may take.
        """
        if still_permitted(peer, routes, self._opening):
            return None
        self._close(POLICY_VIOLATION)
        return CLOSE_SECONDS

    def _close(self, code: int) -> None:
        """Close, with a word where the server is not in the middle of another."""
        if self._far is not None and self._far.frames.between:
            self._transport.write(close_frame(code))
        self._transport.close()

    def _progress(self) -> None:
        self._deadline.allow(self._pool.timeouts.websocket)

    async def _open(self) -> None:
        connection: Connection | None = None
        try:
            connection = await self._pool.connect()
            connection.begin(self._request)
            head = await connection.head()
            if head.status == 101:
                self._switch(connection, head)
                return
            await self._pass_on(connection, head)
        except ExchangeError as error:
            self._pool.telemetry.failed(error.failure, "WebSocket failed")
            self._transport.write(error.failure.encode(close=True))
        finally:
            if self._far is None:
                self._transport.close()
                if connection is not None:
                    connection.abort(None)

    def _switch(self, connection: Connection, head: ResponseHead) -> None:
        if (b"upgrade", b"websocket") not in [(name, value.lower()) for name, value in head.fields]:
            raise ExchangeError(MALFORMED)
        self._transport.write(_encode(head, UPGRADE))
        self._progress()
        self._far = FarSide(self._transport, self._progress, self._pool.telemetry)
        self._far.transport, early = connection.switch(self._far)
        self._far.data_received(early)

    async def _pass_on(self, connection: Connection, head: ResponseHead) -> None:
        """Pass a refusal on; where its fields do not say how long it is, the end of the connection does.

        So where it ends too early, the connection does not end in order.
        """
        self._transport.write(_encode(head, b"connection: close\r\n"))
        more = True
        while more:
            await self._writable.wait()
            try:
                piece, more = await connection.read()
            except ExchangeError as error:
                self._pool.telemetry.failed(error.failure, "response cut off")
                self._transport.abort()
                return
            self._transport.write(piece)


class FarSide(asyncio.Protocol):
    """The server's side."""

    def __init__(
        self, near: asyncio.Transport, progress: Callable[[], None], telemetry: UpstreamTelemetry
    ) -> None:
        self._near = near
        self._progress = progress
        self._telemetry = telemetry
        self.frames = Frames()
        self.transport: asyncio.Transport

    def data_received(self, data: bytes) -> None:
        """Pass on what the server says."""
        self._progress()
        self.frames.feed(data)
        self._near.write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """Leave the caller, too, after it got what is still under way."""
        self._telemetry.connection_closed()
        self._near.close()

    def pause_writing(self) -> None:
        """Hold the caller back."""
        self._near.pause_reading()

    def resume_writing(self) -> None:
        """Let the caller go on."""
        self._near.resume_reading()

    def hold_back(self) -> None:
        """Read no more for now."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()


def _encode(head: ResponseHead, framing: bytes) -> bytes:
    fields = b"".join(b"%b: %b\r\n" % field for field in response_fields(head.status, head.fields))
    return b"%b%b%b\r\n" % (STATUS_LINES[head.status], fields, framing)
