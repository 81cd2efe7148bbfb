"""WebSockets for ASGI applications: uvicorn's protocol, aware of the peer."""

from asyncio import BaseTransport
from typing import Any, Final

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.http11 import Request

from mtls_server.authorization.paths import canonical_path
from mtls_server.authorization.routes import Routes
from mtls_server.files.material import Peer
from mtls_server.http.gate import judge_route
from mtls_server.http.reply import refusal
from mtls_server.identity import Identity

POLICY_VIOLATION: Final = 1008
"""RFC 6455 §7.4.1."""
CLOSE_SECONDS: Final = 5.0
MAX_FRAMES: Final = 1 << 14
"""Of one message: the bytes of a frame are few or none, but each takes memory."""
_LINE_TOO_LONG: Final = refusal(
    431, "head_too_large", "a line of a request that opens a WebSocket is limited to 8192 bytes"
)
"""As `websockets` reads it, which then says nothing itself."""


class PeerWebSocket(WebSocketsSansIOProtocol):
    """Tells the application who calls, as for HTTP, and ends when that is true no more."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], request: HTTPScope
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._opening = request

    def connection_made(self, transport: BaseTransport) -> None:
        """Answer the request that opens the WebSocket."""
        super().connection_made(transport)
        self.data_received(_head(self._opening))
        if not self.handshake_initiated:
            self.transport.write(_LINE_TOO_LONG.encode(close=True))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Add the peer to the scope, before the application's task begins."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["state"] = self._opening["state"].copy()
            self.scope["extensions"] |= self._opening["extensions"]

    def handle_cont(self, event: Frame) -> None:
        """Bound the frames of a message, as its length is bounded."""
        if self.close_sent:
            return
        if len(self.frames) < MAX_FRAMES:
            super().handle_cont(event)
        else:
            self.frames.clear()
            self.conn.fail(POLICY_VIOLATION, "too many frames")
            self.handle_parser_exception()

    def judged_again(self, peer: Peer, routes: Routes) -> float | None:
        """Go on if the caller is who it was; else close, for it may come back as who it is now.

        Returns:
            How many seconds that may take.
        """
        if still_permitted(peer, routes, self._opening):
            return None
        self.stop_keepalive()
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": POLICY_VIOLATION})
            self.conn.send_close(POLICY_VIOLATION, "no longer permitted")
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()
        return CLOSE_SECONDS


def still_permitted(peer: Peer, routes: Routes, opening: HTTPScope) -> bool:
    """Tell whether a peer is who it was when its WebSocket was opened, and could open it again."""
    identity, path = peer.identity, canonical_path(opening["raw_path"])
    return (
        identity is not None
        and _standing(identity) == _standing(opening["state"]["mtls"])
        and path is not None
        and judge_route(routes, identity, "GET", path) is None
    )


def _standing(identity: Identity) -> tuple[object, ...]:
    return identity.client, identity.source, identity.roles, identity.tenant


def _head(request: HTTPScope) -> bytes:
    target = request["raw_path"] + (b"?" + request["query_string"] if request["query_string"] else b"")
    fields = b"".join(b"%b: %b\r\n" % field for field in request["headers"])
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, fields)
