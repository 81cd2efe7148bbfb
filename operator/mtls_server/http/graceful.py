"""uvicorn's HTTP protocol, made to end without failing a request that has begun."""

import asyncio
from typing import cast

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState


class DrainState(ServerState):
    """What all connections share, and whether the server is about to end."""

    def __init__(self) -> None:
        super().__init__()
        self.draining = False

    def drain(self) -> None:
        """From now on every response says ``Connection: close``."""
        self.draining = True


class GracefulProtocol(HttpToolsProtocol):
    """Answers what a client has begun to ask: after its half-close, and while the server drains.

    Its ``server_state`` is a `DrainState`. One timer serves all idle times of a connection, where uvicorn
    starts and cancels one for each request.
    """

    _head_begun = False
    _ending = False
    _answering: RequestResponseCycle | None = None
    _idle_since: float | None = None
    """Loop time; None while a request is being answered, unless its body has stopped coming."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request no longer than for a later one."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer, and tell also the application behind whose request another one waits."""
        self.stop_timer()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def stop_timer(self) -> None:
        """Let the connection be idle for ever."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._head_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a request is to be answered."""
        self._head_begun = False
        self._idle_since = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that the body goes on."""
        super().on_body(body)
        self._note_progress()

    def on_message_complete(self) -> None:
        """Note that nothing more of the request is to come."""
        super().on_message_complete()
        self._note_progress()

    def on_response_complete(self) -> None:
        """Answer the next request that is here already, or wait for one."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()
            if not self.cycle.more_body:
                self._forget_request()

    def _forget_request(self) -> None:
        """Keep nothing of a request while waiting for the next: many connections do little else."""
        self.cycle = self._answering = None  # type: ignore[assignment]
        self.scope = None  # type: ignore[assignment]

    def timeout_keep_alive_handler(self) -> None:
        """Close when the connection has been idle for so long, else look again when it may have been."""
        now = self.loop.time()
        if self._idle_since is None and self._awaits_body():
            self._idle_since = now
        idle_since = now if self._idle_since is None else self._idle_since
        remaining = idle_since + self.timeout_keep_alive - now
        if remaining > 0:
            self.timeout_keep_alive_task = self.loop.call_later(remaining, self.timeout_keep_alive_handler)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Close when idle; else finish the requests that have begun, then close."""
        self._ending = True
        if self._is_answering():
            self.cycle.keep_alive = False
        elif not self._head_begun:
            self.transport.close()

    def finish(self) -> None:
        """Close when idle; else finish the request being answered, drop those that wait, then close."""
        self._ending = True
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.keep_alive = False
        elif not self._head_begun:
            self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open for the response to a request that is complete."""
        if not self._is_answering() or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Say in the response if the connection is to end with it."""
        if self._ending or cast("DrainState", self.server_state).draining:
            cycle.keep_alive = False
        self._answering = cycle
        if cycle.scope["http_version"] == "1.0":
            app = _without_chunks(cycle, app)
        super()._start_asgi_task(cycle, app)

    def _unset_keepalive_if_required(self) -> None:
        """Leave the timer alone: it asks how long the connection has been idle."""

    def _note_progress(self) -> None:
        if self._is_answering():
            self._idle_since = None

    def _awaits_body(self) -> bool:
        """Tell whether the request being answered lacks something that the client might have sent."""
        return (
            self._is_answering()
            and self._answering is self.cycle
            and self.cycle.more_body
            and not (self.flow.read_paused or self.cycle.waiting_for_100_continue)
        )

    def _is_answering(self) -> bool:
        """``cycle`` is the newest request, behind which none is queued."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete


def _without_chunks(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """Let a response of unknown length end with its connection, for HTTP/1.0 (RFC 9112 §6.1, §6.3)."""

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        has_length = False

        async def pass_on(event: ASGISendEvent) -> None:
            nonlocal has_length
            if event["type"] == "http.response.start":
                fields = [
                    field for field in event.get("headers", ()) if field[0].lower() != b"transfer-encoding"
                ]
                event = {**event, "headers": fields}
                has_length = any(name.lower() == b"content-length" for name, _ in fields)
                if not has_length:
                    cycle.chunked_encoding = False
            elif event["type"] == "http.response.body" and not has_length:
                cycle.expected_content_length = len(event.get("body", b""))
            await send(event)

        await app(scope, receive, pass_on)

    return answer
