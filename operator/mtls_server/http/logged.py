"""The gate, with a line in the access log for whatever it answers or lets pass."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, cast

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.config import Config

from mtls_server.authorization.paths import canonical_path
from mtls_server.http.access import MAX_TEXT, AccessLog, Line, caller
from mtls_server.http.exchange import FAILED, Exchange
from mtls_server.http.graceful import DrainState
from mtls_server.http.peer import TARGET, Admission, PeerProtocol
from mtls_server.http.reply import Reply
from mtls_server.identity import Identity
from mtls_server.tls.transport import TlsTransport


class LoggedProtocol(PeerProtocol):
    """Writes down each request when its response ends, and each that is refused."""

    def __init__(
        self,
        config: Config,
        server_state: DrainState,
        app_state: dict[str, Any],
        admission: Admission,
        access: AccessLog,
    ) -> None:
        super().__init__(config, server_state, app_state, admission)
        self._access = access
        self._knows_head = False
        self._refused_midway: Reply | None = None

    def on_message_begin(self) -> None:
        """Know nothing of the next request yet."""
        self._knows_head = False
        super().on_message_begin()

    def judge(self) -> Reply | None:
        """Note that the head can be written down."""
        self._knows_head = True
        return super().judge()

    def refuse(self, reply: Reply) -> None:
        """Write down what is answered; where nothing is, the request before it has its own line."""
        if self.awaits_first_answer():
            self._refused_midway = reply
        elif not (self._in_body or self.is_answering()):
            method, target = (self.method, self.url) if self._knows_head else (None, None)
            line = self._line("request", self._peer.identity, method, target)
            _note(line, reply)
            self._access.write(line)
        super().refuse(reply)

    def reply(self, reply: Reply, *, is_head: bool, keep_alive: bool) -> None:
        """Write down what is answered at once."""
        line = self._line("request", self._identity, self.method, self.url)
        _note(line, reply)
        self._access.write(line)
        super().reply(reply, is_head=is_head, keep_alive=keep_alive)

    def start(self, exchange: Exchange) -> None:
        """Follow the application to the end of its response."""
        exchange.application = self._logged(exchange)
        super().start(exchange)

    def open_websocket(self) -> None:
        """Count what the WebSocket sends, and write its line when the connection is lost."""
        transport = self.transport
        counted = _Counted(transport)
        line = self._line("websocket", self._identity, self.method, self.url)
        start = perf_counter()

        def end() -> Line:
            line.time, line.duration = _now(), round(perf_counter() - start, 6)
            line.status, line.bytes = counted.status, counted.bytes
            return line

        self._access.write_at_end(cast("TlsTransport", transport), end)
        self.transport = cast("asyncio.Transport", counted)
        super().open_websocket()

    def _logged(self, exchange: Exchange) -> ASGI3Application:
        application, scope = exchange.application, exchange.scope
        target: bytes = scope[TARGET]  # type: ignore[typeddict-item]
        line = self._line("request", scope["state"]["mtls"], scope["method"], target)
        if isinstance(application, Reply):
            line.reason = application.reason
        start = perf_counter()

        async def logged(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            async def pass_on(event: ASGISendEvent) -> None:
                was_complete = exchange.complete
                await send(event)
                if exchange.disconnected:
                    return
                if event["type"] == "http.response.start":
                    line.status = event["status"]
                elif event["type"] == "http.response.body":
                    line.bytes += len(event.get("body", b"")) if line.method != "HEAD" else 0
                if exchange.complete and not was_complete:
                    self._end(exchange, line, start)

            try:
                await application(scope, receive, pass_on)
            finally:
                if not exchange.complete:
                    self._end(exchange, line, start)

        return logged

    def _end(self, exchange: Exchange, line: Line, start: float) -> None:
        line.time, line.duration = _now(), round(perf_counter() - start, 6)
        if exchange.complete or exchange.started:
            line.aborted = not exchange.complete
        elif self._refused_midway is not None:
            _note(line, self._refused_midway)
        elif exchange.disconnected:
            line.status, line.aborted = None, True
        else:
            line.status = FAILED.status
        self._access.write(line)

    def _line(self, event: str, identity: Identity | None, method: str | None, target: bytes | None) -> Line:
        client, source, spiffe_id = caller(identity)
        path = canonical_path(target) if target is not None else None
        return Line(
            time=_now(),
            event=event,
            peer=self.client[0] if self.client else "unknown",
            client=client,
            source=source,
            spiffe_id=spiffe_id,
            method=method,
            path=path[:MAX_TEXT] if path is not None else None,
            status=None,
            duration=0.0,
            bytes=0,
        )


def _note(line: Line, reply: Reply) -> None:
    line.status, line.reason = reply.status, reply.reason
    line.bytes = len(reply.body) if line.method != "HEAD" else 0


class _Counted:
    """A transport that knows what was written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.bytes = 0

    @property
    def status(self) -> int | None:
        """Of the response that opened the WebSocket, or did not."""
        return int(self._head.split(b" ", 2)[1]) if self._head else None

    def write(self, data: bytes) -> None:
        """Pass on and count."""
        self._head = self._head or bytes(data[:16])
        self.bytes += len(data)
        self._transport.write(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Pass on and count."""
        for piece in pieces:
            self.write(piece)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
