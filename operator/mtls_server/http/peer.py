"""The gate in front of the application: HTTP that knows its peer, and whom it may serve."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any, Final, Protocol, cast

import msgspec
from uvicorn._types import HTTPScope
from uvicorn.config import Config

from mtls_server.authorization.routes import Routes
from mtls_server.files.material import Peer
from mtls_server.http.gate import judge_route
from mtls_server.http.graceful import DrainState
from mtls_server.http.reply import Reply, refusal
from mtls_server.http.strict import StrictProtocol
from mtls_server.identity import Identity, Reason, Refusal, Tls
from mtls_server.live import LiveConnections
from mtls_server.tls.transport import TlsTransport

TLS_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
GRACE_SECONDS: Final = 60.0
"""How long a request may take that has begun when its peer loses permission."""
EXCESS_SECONDS: Final = 3
"""How long a connection beyond its caller's share may last, to be told so."""
_EXCESS: Final = Refusal(
    Reason.TOO_MANY_CONNECTIONS, "this caller has its share of the connections; close some, or use them again"
)
TARGET: Final = "mtls.target"
"""Key in a scope of the request-target as it was judged, since ASGI cannot tell an empty query from none."""


Respond = Callable[[Identity, str], Reply]
"""Answers a request, of which it is told caller and method, without waiting for anything."""


class Observer(Protocol):
    """Told of what an authenticated client is refused."""

    def peer_refused(self, peername: object, leaf: bytes, refusal: Refusal) -> None:
        """A peer, whose certificate is `leaf` (DER), is not served."""

    def request_refused(self, reason: str, route: str) -> None:
        """A request is not served; `route` is such as ``routes[2]``, or ``none``."""

    def request_answered(self, seconds: float, /) -> None:
        """A request was answered to the end, so many seconds after its turn had come."""


@dataclass(frozen=True)
class Admission:
    """What decides on a request before the application sees it."""

    live: LiveConnections
    observer: Observer
    respond: Respond | None = None
    """Answers instead of an application."""


class PeerProtocol(StrictProtocol):
    """Serves judged peers only, by the newest judgement, and tells the application who calls.

    The transport offers ``mtls_peer`` (a `Peer`), ``ssl_object``, ``cipher`` and ``peername``.
    """

    scheme = "https"

    __slots__ = (
        "_exceeds_share",
        "_identity",
        "_live",
        "_observer",
        "_peer",
        "_respond",
        "_tls",
        "_tls_extension",
    )

    def __init__(
        self, config: Config, server_state: DrainState, app_state: dict[str, Any], admission: Admission
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._live = admission.live
        self._observer = admission.observer
        self._respond = admission.respond
        self._peer: Peer
        self._tls: Tls
        self._identity: Identity
        self._tls_extension: dict[object, object]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Prepare what every request of this connection says of its peer."""
        self._exceeds_share = self._live.shares.exceeds(cast("TlsTransport", transport))
        if self._exceeds_share:
            self.idle_seconds = EXCESS_SECONDS
        super().connection_made(transport)
        self._peer = transport.get_extra_info("mtls_peer")
        if self._peer.identity is not None:
            version, cipher = (
                transport.get_extra_info("ssl_object").version(),
                transport.get_extra_info("cipher"),
            )
            self._tls = Tls(version, cipher[0])
            self._identity = msgspec.structs.replace(self._peer.identity, tls=self._tls)
            self._tls_extension = tls_extension(self._peer, self._identity, self._tls)

    def judged_again(self, peer: Peer, _routes: Routes) -> float | None:
        """Serve the next request as the peer is judged now, or end with the request being answered.

        Returns:
            How many seconds that may take.
        """
        if peer is not self._peer:
            self._peer = peer
            if peer.identity is None:
                self.finish()
                return GRACE_SECONDS
            self._identity = msgspec.structs.replace(peer.identity, tls=self._tls)
        if self.pipeline:  # requests that were let in as another identity, or by other routes
            self.finish()
        return None

    def end_turn(self) -> None:
        """Tell how long the answer took."""
        self._observer.request_answered(perf_counter() - self.turn)
        if self._live.pending:
            self._settle()
        super().end_turn()

    def judge(self) -> Reply | None:
        """Refuse the peer before its request."""
        if self._live.pending:
            self._settle()
        refused = self._peer.refusal or (_EXCESS if self._exceeds_share else None)
        if refused is None:
            return super().judge()
        self._observer.peer_refused(self.transport.get_extra_info("peername"), self._peer.leaf, refused)
        return refusal(503 if refused is _EXCESS else 403, refused.reason, refused.message)

    def reply_at_once(self) -> Reply | None:
        """Refuse what no route lets pass; what remains the backend may answer itself."""
        routes = self._live.generation.authorisation.routes
        refused = judge_route(routes, self._identity, self.method, self.path)
        if refused is not None:
            reply, route = refused
            self._observer.request_refused(reply.reason, route)
            return reply
        return self._respond(self._identity, self.method) if self._respond is not None else None

    def scope(self) -> HTTPScope:
        """Tell the application also who calls; what it writes there, no later request sees."""
        scope = super().scope()
        scope["state"]["mtls"] = self._identity
        scope["extensions"] = {"tls": self._tls_extension.copy()}
        scope[TARGET] = self.url  # type: ignore[typeddict-unknown-key]
        return scope

    def _settle(self) -> None:
        """Let the newest generation judge the peer, before a request of it is served."""
        self._live.settle(cast("TlsTransport", self.transport))


def tls_extension(peer: Peer, identity: Identity, tls: Tls) -> dict[object, object]:
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
