"""An HTTP connection from its first request to its end, which fails no request that has begun."""

import asyncio
from time import perf_counter
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from mtls_server.http.exchange import Exchange
from mtls_server.http.reply import Reply
from mtls_server.tls.batch import Batch


class DrainState(ServerState):
    """What all connections share, and whether the server is about to end."""

    def __init__(self) -> None:
        super().__init__()
        self.draining = False
        self.turns = Batch()
        """Of the requests that are to be answered now."""
        self.running: set[asyncio.Task[None]] = set()
        self.date = b""
        """The field, encoded."""

    def drain(self) -> None:
        """From now on every response says ``Connection: close``."""
        self.draining = True

    def set_date(self, date: str) -> None:
        """Let responses tell the date, also those of uvicorn's protocol for WebSockets."""
        self.default_headers = [(b"date", date.encode())]
        self.date = b"date: %b\r\n" % date.encode()


class GracefulProtocol(asyncio.Protocol):
    """Answers what a client has begun to ask: after its half-close, and while the server drains.

    What parses the requests calls `begin` or `reply` for each, in order. One timer serves all idle times of
    a connection; requests do not touch it.
    """

    __slots__ = (
        "_answering",
        "_ending",
        "_idle_since",
        "_newest",
        "_reading_paused",
        "app_state",
        "config",
        "head_begun",
        "idle_seconds",
        "idle_timer",
        "loop",
        "pipeline",
        "running",
        "server_state",
        "transport",
        "turn",
        "writable",
    )

    def __init__(self, config: Config, server_state: DrainState, app_state: dict[str, Any]) -> None:
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.running = server_state.running
        self.loop = asyncio.get_running_loop()
        self.idle_seconds: float = config.timeout_keep_alive
        self.idle_timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport
        self.writable: asyncio.Event | None = None
        self.pipeline: list[Exchange] = []
        """Requests that wait behind the one being answered."""
        self.head_begun = False
        self.turn = 0.0
        """When the turn came of the request being answered, by a finer clock than the loop's."""
        self._answering: Exchange | None = None
        self._newest: Exchange | None = None
        self._ending = False
        self._reading_paused = False
        self._idle_since: float | None = None
        """Loop time; None while a request is being answered, unless its body has stopped coming."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request no longer than for a later one."""
        self.transport = transport
        self._idle_since = self.loop.time()
        self._look_again_in(self.idle_seconds)

    def connection_lost(self, _error: Exception | None) -> None:
        """Let go of the timer, and tell the applications that are running or would have been run."""
        self.stop_timer()
        self.disconnect()
        self.resume_writing()

    def disconnect(self) -> None:
        """Tell the applications that are running, or would have been run, that nobody awaits a response."""
        for exchange in {self._answering, self._newest}:
            if exchange is not None and not (exchange.complete or exchange.disconnected):
                exchange.disconnect()

    def stop_timer(self) -> None:
        """Let the connection be idle for ever."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None

    def is_answering(self) -> bool:
        """Tell whether a request has not been answered in full."""
        return self._newest is not None and not self._newest.complete

    def awaits_first_answer(self) -> bool:
        """Tell whether the request whose body is being read has no response yet, nor waits for its turn."""
        newest = self._newest
        return newest is not None and newest is self._answering and newest.more_body and not newest.started

    def begin(self, exchange: Exchange) -> None:
        """Let an application answer a request when its turn has come."""
        self.head_begun = False
        self._idle_since = None
        is_next = not self.is_answering()
        self._newest = exchange
        if is_next:
            self.start(exchange)
        else:
            self._pause_reading()
            self.pipeline.append(exchange)

    def reply(self, reply: Reply, *, is_head: bool, keep_alive: bool) -> None:
        """Answer the newest request at once; none before it is being answered."""
        self.head_begun = False
        self.turn = perf_counter()
        close = self._is_last(keep_alive=keep_alive)
        self.transport.write(reply.encode(self.server_state.date, with_body=not is_head, close=close))
        if close:
            self.transport.close()
        self.end_turn()
        if self.writable is not None:  # no application is there to be held back
            self._pause_reading()

    def start(self, exchange: Exchange) -> None:
        """Let a request have its turn, and say in the response if the connection is to end with it."""
        exchange.keep_alive = not self._is_last(keep_alive=exchange.keep_alive)
        self._answering = exchange
        self.turn = perf_counter()
        self.server_state.turns.add(exchange.run)

    def add_body(self, piece: bytes) -> None:
        """Pass a piece of the newest request's body on."""
        if self._newest is not None and not self._newest.complete:
            self._idle_since = None
            if not self._newest.add_body(piece):
                self._pause_reading()

    def end_body(self) -> None:
        """Note that nothing more of the newest request is to come."""
        if self._newest is not None and not self._newest.complete:
            self._idle_since = None
            self._newest.end_body()

    def end_turn(self) -> None:
        """Answer the next request that is here already, or wait for one."""
        if self.transport.is_closing():
            return
        if self._reading_paused:
            self.resume_reading()
        if self.pipeline:
            self.start(self.pipeline.pop(0))
        else:
            self._idle_since = self.loop.time()
            self._answering = self._newest = None  # many connections do little but wait

    def shutdown(self) -> None:
        """Close when idle; else finish the requests that have begun, then close."""
        self._ending = True
        if self._newest is not None and not self._newest.complete:
            self._newest.keep_alive = False
        elif not self.head_begun:
            self.transport.close()

    def finish(self) -> None:
        """Close when idle; else finish the request being answered, drop those that wait, then close."""
        self._ending = True
        self.pipeline.clear()
        if self._answering is not None and not self._answering.complete:
            self._answering.keep_alive = False
        elif not self.head_begun:
            self.transport.close()

    def cut(self) -> None:
        """Close at once; a response that is under way does not look whole for that."""
        if self._answering is None:
            self.transport.close()
        else:
            self._answering.cut()

    def eof_received(self) -> bool:
        """Keep the connection open for the response to a request that is complete."""
        if self._newest is None or self._newest.complete or self._newest.more_body:
            self.cut()
            return False
        self._newest.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """Hold the application back."""
        if self.writable is None:
            self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let the application go on, or take more requests where none is running."""
        if self.writable is not None:
            self.writable.set()
            self.writable = None
            if not self.is_answering():
                self.resume_reading()

    def resume_reading(self) -> None:
        """Take more of the client, but of a request that waits not more than should."""
        if self._reading_paused and not (self.pipeline and self.pipeline[-1].is_full()):
            self._reading_paused = False
            self.transport.resume_reading()

    def default_fields(self) -> bytes:
        """Return what every response says."""
        return self.server_state.date

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def _is_last(self, *, keep_alive: bool) -> bool:
        return not keep_alive or self._ending or self.server_state.draining

    def _look_again_in(self, seconds: float) -> None:
        self.idle_timer = self.loop.call_later(seconds, self._end_if_idle)

    def _end_if_idle(self) -> None:
        """Close when the connection has been idle for so long, else look again when it may have been."""
        now = self.loop.time()
        if self._idle_since is None and self._awaits_body():
            self._idle_since = now
        idle_since = now if self._idle_since is None else self._idle_since
        remaining = idle_since + self.idle_seconds - now
        if remaining > 0:
            self._look_again_in(remaining)
        else:
            self.cut()

    def _awaits_body(self) -> bool:
        """Tell whether the request being answered lacks something that the client might have sent."""
        newest = self._newest
        return (
            newest is not None
            and newest is self._answering
            and not newest.complete
            and newest.more_body
            and not (self._reading_paused or newest.awaits_leave)
        )
