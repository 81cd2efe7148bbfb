"""HTTP that is strict: what is malformed, too large or misleading goes no further."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.server import ServerState

from mtls_server.authorization.paths import canonical_path
from mtls_server.http.exchange import Exchange
from mtls_server.http.fields import misleads
from mtls_server.http.gate import (
    AMBIGUOUS_PATH,
    MALFORMED,
    NO_UPGRADE,
    has_body,
    judge_head,
    opens_websocket,
)
from mtls_server.http.graceful import DrainState
from mtls_server.http.parsed import DROPPED_TRAILERS, ParsedProtocol, RefusedRequestError
from mtls_server.http.reply import Reply

MAX_PIPELINED: Final = 32
"""Requests of one connection that wait behind the one being answered."""

TakeOver = Callable[[Config, ServerState, dict[str, Any], HTTPScope], asyncio.Protocol]
"""Makes a backend's protocol for WebSockets; the scope is that of the request that opens one."""


class StrictProtocol(ParsedProtocol):
    """Answers what is malformed or too large itself.

    Fields that say who calls, or that something else was asked for, never reach the application.

    A client that pipelines too many requests loses its connection.
    """

    scheme = "http"

    __slots__ = (
        "_opening",
        "client",
        "method",
        "path",
        "server",
        "version",
    )

    def __init__(self, config: Config, server_state: DrainState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.version = self.method = ""
        self.path = ""
        """What the target names."""
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self._opening: HTTPScope
        """Of the request that opens a WebSocket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note from where the client calls."""
        super().connection_made(transport)
        self.client = _address(transport, "peername")

    def on_headers_complete(self) -> None:
        """Pass the request on, answer it, or stop the parser; until now the idle time bounded a slow head."""
        self._advanced = True
        if self.transport.is_closing():  # the request before it was the last
            raise RefusedRequestError(MALFORMED)
        self.version, self.method = self.parser.get_http_version(), self.parser.get_method().decode()
        refused = self.judge()
        if refused is not None:
            raise RefusedRequestError(refused)
        if len(self.pipeline) == MAX_PIPELINED:  # no answer can be told, as others are due before it
            raise RefusedRequestError(MALFORMED)
        reply = self.reply_at_once()
        if reply is None or self.is_answering():
            self._pass_on(reply)
        else:
            self.reply(reply, is_head=self.method == "HEAD", keep_alive=self._keeps_alive(reply))
        self.headers = DROPPED_TRAILERS
        self._in_body = True

    def judge(self) -> Reply | None:
        """Return the answer to a request that must not reach the application, and ends the connection."""
        if self.parser.should_upgrade() and not self._may_upgrade():
            return NO_UPGRADE
        refused = judge_head(self.version, self.url, self.headers)
        if refused is not None:
            return refused
        path = canonical_path(self.url)
        if path is None:
            return AMBIGUOUS_PATH
        self.path = path
        return None

    def reply_at_once(self) -> Reply | None:
        """Return what is answered instead of the application, and does not end the connection."""
        return None

    def scope(self) -> HTTPScope:
        """Tell the application about a request."""
        target, _, query = self.url.partition(b"?")
        if not target.startswith(b"/"):
            target = target[target.index(b"/", len(b"https://")) :]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.version,
            "method": self.method,
            "scheme": self.scheme,
            "path": self.path,
            "raw_path": target,
            "query_string": query,
            "root_path": "",
            "headers": [field for field in self.headers if not misleads(field[0])],
            "client": self.client,
            "server": self._server_address(),
            "state": self.app_state.copy(),
        }

    def _server_address(self) -> tuple[str, int] | None:
        """Ask the kernel once, and only when an application may want to know."""
        if self.server is None:
            self.server = _address(self.transport, "sockname")
        return self.server

    def refuse(self, reply: Reply) -> None:
        """Answer and close; without a word where a response has begun or ended, or an earlier one is due."""
        if self.awaits_first_answer() or not (self._in_body or self.is_answering()):
            is_head = self.parser.get_method() == b"HEAD"
            self.transport.write(reply.encode(self.server_state.date, with_body=not is_head, close=True))
        self.cut()
        self.disconnect()

    def open_websocket(self) -> None:
        """Give the connection to the backend's protocol for WebSockets, with the request that opens one."""
        take_over = cast("TakeOver", self.config.ws_protocol_class)
        protocol = take_over(self.config, self.server_state, self.app_state, self._opening)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)

    def upgrade(self, early: bytes) -> None:
        """Upgrade, unless the request was answered, or the client says more before it may (RFC 6455 §4.1)."""
        if self.transport.is_closing():
            return
        if early:
            self.refuse(MALFORMED)
            return
        self.stop_timer()
        self.resume_reading()  # which waits while many answers are not taken yet
        self.open_websocket()

    def _pass_on(self, reply: Reply | None) -> None:
        """Pass a request to the application, or to one that gives the reply when it is its turn."""
        scope = self.scope()
        if self.parser.should_upgrade():
            self._opening = scope
            return
        application = self.config.loaded_app if reply is None else reply
        keep_alive = self._keeps_alive(reply)
        awaits_leave = self._awaits_leave and self.version == "1.1"
        self.begin(Exchange(self, application, scope, keep_alive=keep_alive, awaits_leave=awaits_leave))

    def _keeps_alive(self, reply: Reply | None) -> bool:
        """Tell whether the connection goes on: with a reply nobody takes a body."""
        keep_alive = self.version == "1.1" and self.parser.should_keep_alive()
        return keep_alive and (reply is None or not (has_body(self.headers) or self.parser.should_upgrade()))

    def _may_upgrade(self) -> bool:
        return (
            self.config.ws_protocol_class is not None
            and not self.is_answering()
            and self.version == "1.1"
            and self.method == "GET"
            and opens_websocket(self.url, self.headers)
        )


def _address(transport: asyncio.Transport, name: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(name)
    return address and (address[0], address[1])
