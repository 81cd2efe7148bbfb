"""The plain port for kubelet, Prometheus and the operator: alive, ready, metrics, state."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from uvicorn.config import Config

from mtls_server.files.watch import Watcher
from mtls_server.http.graceful import DrainState
from mtls_server.http.strict import StrictProtocol

MAX_CONNECTIONS: Final = 64

_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"


@dataclass
class Readiness:
    """What stands between the server and its first request."""

    watcher: Watcher
    application_started: bool = False
    listening: bool = False
    draining: bool = False

    def drain(self) -> None:
        """Ask for no more traffic."""
        self.draining = True

    def obstacles(self) -> list[str]:
        """Return, in words, why no traffic should come; empty when ready."""
        generation = self.watcher.generation
        if generation is None:
            served = f"waiting for files that can serve: {self.watcher.last_reload.reason}"
        elif generation.expired():
            served = "the certificate in service has expired"
        else:
            served = ""
        found = (
            served,
            "" if self.application_started else "the application has not started",
            "" if self.listening else "the listener is not up",
            "draining" if self.draining else "",
        )
        return [obstacle for obstacle in found if obstacle]


@dataclass(frozen=True)
class _Page:
    status: int
    content_type: str
    body: bytes


def application(readiness: Readiness, registry: CollectorRegistry) -> ASGI3Application:
    """Return the ASGI application of the admin port."""

    def live() -> _Page:
        return _Page(200, _TEXT, b"alive\n")

    def ready() -> _Page:
        obstacles = readiness.obstacles()
        return _Page(503 if obstacles else 200, _TEXT, ("\n".join(obstacles or ["ready"]) + "\n").encode())

    def metrics() -> _Page:
        return _Page(200, CONTENT_TYPE_LATEST, generate_latest(registry))

    def state() -> _Page:
        watcher = readiness.watcher
        if watcher.generation is None:
            return _Page(503, _JSON, msgspec.json.encode({"lastReload": watcher.last_reload}))
        return _Page(200, _JSON, msgspec.json.encode(watcher.state()))

    pages: dict[str, Callable[[], _Page]] = {
        "/livez": live,
        "/readyz": ready,
        "/metrics": metrics,
        "/state": state,
    }

    async def app(scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope = cast("HTTPScope", scope)  # the port runs no lifespan and upgrades nothing
        page = pages.get(scope["path"])
        if page is None:
            answer = _Page(404, _TEXT, f"not here; ask for {', '.join(pages)}\n".encode())
        elif scope["method"] not in {"GET", "HEAD"}:
            answer = _Page(405, _TEXT, b"use GET or HEAD\n")
        else:
            answer = page()
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    return app


class AdminProtocol(StrictProtocol):
    """At the limit of connections a new one ends the oldest, so that nobody shuts the probes out."""

    def __init__(self, config: Config, state: DrainState, connections: "dict[AdminProtocol, None]") -> None:
        """Wait for the connection.

        Args:
            config: names the application.
            state: of the admin port.
            connections: of this port, the oldest first.
        """
        super().__init__(config, state, {})
        self._connections = connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room."""
        super().connection_made(transport)
        if len(self._connections) == MAX_CONNECTIONS:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.transport.abort()
        self._connections[self] = None

    def connection_lost(self, error: Exception | None) -> None:
        """Leave room."""
        super().connection_lost(error)
        self._connections.pop(self, None)


async def listen(app: ASGI3Application, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
    """Serve the admin port, one request for each connection.

    Args:
        app: made by `application`.
        sockets: listening; closed with the servers.
    """
    config = Config(
        app,
        http=AdminProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    config.load()
    state = DrainState()
    state.drain()
    loop = asyncio.get_running_loop()
    made = partial(AdminProtocol, config, state, {})
    return [await loop.create_server(made, sock=one) for one in sockets]
