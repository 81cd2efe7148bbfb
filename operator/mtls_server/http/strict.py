"""uvicorn's HTTP protocol, made strict: what is malformed, too large or misleading goes no further."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.server import ServerState

from mtls_server.http.fields import misleads
from mtls_server.http.gate import (
    HEAD_TOO_LARGE,
    MALFORMED,
    MAX_HEAD_BYTES,
    NO_UPGRADE,
    Answer,
    judge_head,
    opens_websocket,
)
from mtls_server.http.graceful import GracefulProtocol

MAX_PIPELINED: Final = 32
"""Requests of one connection that wait behind the one being answered."""

TakeOver = Callable[[Config, ServerState, dict[str, Any], HTTPScope], asyncio.Protocol]
"""Makes a backend's protocol for WebSockets; the scope is that of the request that opens one."""

_DROPPED_TRAILERS: Final = cast("list[tuple[bytes, bytes]]", deque(maxlen=0))


class _RefusedRequestError(Exception):
    """Stops the parser."""


class StrictProtocol(GracefulProtocol):
    """Answers what is malformed or too large itself, and never merges trailers into the headers.

    Fields that say who calls, or that something else was asked for, never reach the application.

    A client that pipelines too many requests loses its connection.
    """

    _answer = MALFORMED
    _unfinished = 0
    _advanced = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request's head no longer than for a later one's."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timer, which uvicorn forgets where the connection was reset."""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and bound what the parser may hold back: an unfinished head, field or trailer."""
        self._advanced = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(
                error.__context__, _RefusedRequestError
            ):
                raise  # a mistake of ours, not of the client
            self.refuse(self._answer)
            return
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
            return
        self._unfinished = 0 if self._advanced else self._unfinished + len(data)
        if self._unfinished > MAX_HEAD_BYTES:
            self.refuse(HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Let the request pass, or stop the parser; until now the timer of uvicorn bounded a slow head."""
        self._unset_keepalive_if_required()
        self._advanced = True
        answer = self.judge()
        if answer is not None:
            self._answer = answer
            raise _RefusedRequestError
        if len(self.pipeline) == MAX_PIPELINED:  # no answer can be told, as others are due before it
            raise _RefusedRequestError
        self.headers[:] = [field for field in self.headers if not misleads(field[0])]
        super().on_headers_complete()
        self.headers = _DROPPED_TRAILERS

    def on_body(self, body: bytes) -> None:
        """Note that the parser holds nothing back."""
        self._advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the parser holds nothing back."""
        self._advanced = True
        super().on_message_complete()

    def judge(self) -> Answer | None:
        """Return the answer to a request that must not reach the application."""
        if self.parser.should_upgrade() and not self._may_upgrade():
            return NO_UPGRADE
        return judge_head(self.parser.get_http_version(), self.url, self.headers)

    def handle_websocket_upgrade(self) -> None:
        """Give the connection to the backend's protocol for WebSockets, with the request that opens one."""
        path, _, query = self.url.partition(b"?")
        self.scope["raw_path"], self.scope["query_string"] = path, query  # which uvicorn leaves out
        take_over = cast("TakeOver", self.ws_protocol_class)
        protocol = take_over(self.config, self.server_state, self.app_state, self.scope)
        self.connections.discard(self)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)

    def _upgrade(self, early: bytes) -> None:
        """Upgrade, unless the client says more before it may (RFC 6455 §4.1)."""
        if early:
            self.refuse(MALFORMED)
            return
        self.stop_timer()
        self.handle_websocket_upgrade()

    def _may_upgrade(self) -> bool:
        return (
            self.ws_protocol_class is not None
            and not self._is_answering()
            and self.parser.get_http_version() == "1.1"
            and self.parser.get_method() == b"GET"
            and opens_websocket(self.url, self.headers)
        )

    def _should_upgrade(self) -> bool:
        """What must not upgrade was refused already."""
        return True

    def refuse(self, answer: Answer) -> None:
        """Answer and close; without a word where a response has begun, or an earlier one is due."""
        if not self._is_answering() or self._awaits_first_answer():
            is_head = self.parser.get_method() == b"HEAD"
            self.transport.write(answer.encode(with_body=not is_head))
        self.transport.close()

    def _awaits_first_answer(self) -> bool:
        """Tell whether the request whose body is being read has no response yet."""
        cycle = self.cycle
        return cycle is self._answering and cycle.more_body and not cycle.response_started
