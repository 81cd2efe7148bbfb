"""The gate in front of the application: uvicorn's HTTP protocol, made strict, and aware of the peer."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, Final, Protocol, cast

import httptools
import msgspec
from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from mtls_server.authorization.paths import canonical_path
from mtls_server.authorization.routes import Routes
from mtls_server.fields import misleads
from mtls_server.gate import (
    AMBIGUOUS_PATH,
    HEAD_TOO_LARGE,
    MALFORMED,
    MAX_HEAD_BYTES,
    NO_UPGRADE,
    Answer,
    has_body,
    judge_head,
    judge_route,
    opens_websocket,
)
from mtls_server.graceful import DrainState, GracefulProtocol
from mtls_server.identity import Identity, Refusal, Tls
from mtls_server.live import LiveConnections
from mtls_server.material import Peer
from mtls_server.tls.transport import TlsTransport

MAX_PIPELINED: Final = 32
"""Requests of one connection that wait behind the one being answered."""

TLS_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


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
        """Answer and close; without a word where an earlier response is still being written."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            is_head = self.parser.get_method() == b"HEAD"
            self.transport.write(answer.encode(with_body=not is_head))
        self.transport.close()


class Observer(Protocol):
    """Told of what an authenticated client is refused."""

    def peer_refused(self, peername: object, leaf: bytes, refusal: Refusal) -> None:
        """A peer, whose certificate is `leaf` (DER), is not served."""

    def request_refused(self, reason: str, route: str) -> None:
        """A request is not served; `route` is such as ``routes[2]``, or ``none``."""


GRACE_SECONDS: Final = 60.0
"""How long a request may take that has begun when its peer loses permission."""


class PeerProtocol(StrictProtocol):
    """Serves judged peers only, by the newest judgement, and tells the application who calls.

    The transport offers ``mtls_peer`` (a `Peer`), ``ssl_object``, ``cipher`` and ``peername``.
    """

    def __init__(
        self,
        config: Config,
        server_state: DrainState,
        app_state: dict[str, Any],
        live: LiveConnections,
        observer: Observer,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._live = live
        self._observer = observer
        self._application = self.app
        self._peer: Peer
        self._tls: Tls
        self._identity: Identity
        self._extensions: dict[str, dict[str, object]]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Prepare what every request of this connection says of its peer."""
        super().connection_made(transport)
        self.scheme = "https"
        self._peer = transport.get_extra_info("mtls_peer")
        if self._peer.identity is not None:
            version, cipher = (
                transport.get_extra_info("ssl_object").version(),
                transport.get_extra_info("cipher"),
            )
            self._tls = Tls(version, cipher[0])
            self._identity = msgspec.structs.replace(self._peer.identity, tls=self._tls)
            self._extensions = {"tls": tls_extension(self._peer, self._identity, self._tls)}

    def judged_again(self, peer: Peer, _routes: Routes) -> float | None:
        """Serve the next request as the peer is judged now, or end with the request being answered.

        Returns:
            How many seconds that may take.
        """
        if peer is self._peer:
            return None
        self._peer = peer
        if peer.identity is None:
            self.finish()
            return GRACE_SECONDS
        self._identity = msgspec.structs.replace(peer.identity, tls=self._tls)
        if self.pipeline:  # requests that were let in as another identity
            self.finish()
        return None

    def judge(self) -> Answer | None:
        """Refuse the peer before its request, or add it to the scope."""
        if self._live.pending:
            self._live.settle(cast("TlsTransport", self.transport))
        refusal = self._peer.refusal
        if refusal is None:
            return super().judge() or self._judge_request()
        self._observer.peer_refused(self.transport.get_extra_info("peername"), self._peer.leaf, refusal)
        return Answer(403, refusal.reason, refusal.message)

    def _judge_request(self) -> Answer | None:
        """Pass the request on with the peer in its scope, or to what refuses it when it is its turn."""
        path = canonical_path(self.url)
        if path is None:
            return AMBIGUOUS_PATH
        self.scope["state"]["mtls"] = self._identity
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        self.app = self._application
        routes = self._live.generation.authorisation.routes
        return self._judge_route(routes, path) if routes.count else None

    def _judge_route(self, routes: Routes, path: str) -> Answer | None:
        refused = judge_route(routes, self._identity, self.parser.get_method().decode(), path)
        if refused is None:
            return None
        answer, route = refused
        self._observer.request_refused(answer.reason, route)
        if self.parser.should_upgrade():
            return answer
        self.app = answer.application(close=has_body(self.headers))
        return None


def tls_extension(peer: Peer, identity: Identity, tls: Tls) -> dict[str, object]:
    """Return the ASGI TLS extension (version 0.2) for an accepted peer."""
    return {
        "server_cert": peer.server_certificate,
        "client_cert_chain": peer.pem_chain,
        "client_cert_name": identity.subject.dn,
        "client_cert_error": None,
        "tls_version": TLS_VERSIONS.get(tls.version),
        "cipher_suite": _cipher_suites().get(tls.cipher),
    }


@cache
def _cipher_suites() -> dict[str, int]:
    """Name to IANA number of every cipher suite that a server's context offers."""
    suites = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).get_ciphers()
    return {suite["name"]: suite["id"] & 0xFFFF for suite in suites}
