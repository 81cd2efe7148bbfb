"""The backends on the command line."""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, cast

from prometheus_client.registry import Collector
from uvicorn._types import ASGI3Application

from mtls_server import arguments
from mtls_server.backends import identity
from mtls_server.backends.loading import load_asgi, load_wsgi
from mtls_server.backends.upstream.app import Upstream
from mtls_server.backends.upstream.connection import Timeouts
from mtls_server.backends.upstream.pool import Pool
from mtls_server.backends.upstream.target import EXAMPLE, parse_target
from mtls_server.backends.upstream.telemetry import UpstreamTelemetry
from mtls_server.backends.upstream.tunnel import Tunnel
from mtls_server.backends.websocket import PeerWebSocket
from mtls_server.backends.wsgi.app import Wsgi
from mtls_server.backends.wsgi.patience import BYTES_PER_SECOND
from mtls_server.backends.wsgi.threads import Threads
from mtls_server.http.peer import Respond

CALLER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Backend:
    """What stands behind mutual TLS."""

    application: ASGI3Application | None
    """None where `respond` answers everything."""
    respond: Respond | None = None
    lifespan: Literal["auto", "off"] = "off"
    websocket: type[asyncio.Protocol] | None = None
    """What takes over a connection for a WebSocket: called with uvicorn's configuration, the state of the
    server, the state of the application, and the scope of the request."""
    descriptors: int = 1
    """How many files a caller's connection may need: its own, and one that the backend opens for it."""
    metrics: Sequence[Collector] = ()
    """Of its own, not registered yet."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let the command line name one backend, in ``backend``, with its options."""
    backends = parser.add_subparsers(
        dest="backend", required=True, metavar="BACKEND", prog=f"{parser.prog} --dir DIR"
    )
    backends.add_parser("identity", help="answer every request with the caller's identity as JSON")
    backends.add_parser("asgi", help="serve an ASGI application").add_argument(
        "app", help="module:attribute, such as shop.main:app"
    )
    wsgi = backends.add_parser("wsgi", help="serve a WSGI application on threads")
    wsgi.add_argument("app", help="module:attribute, such as shop.wsgi:application")
    _add_wsgi_options(wsgi)
    _add_upstream(backends.add_parser("upstream", help="pass requests on to an HTTP/1.1 server"))


def build(given: argparse.Namespace) -> Backend:
    """Make the backend that the command line names.

    Raises:
        BackendError: it cannot be set up.
    """
    return _BUILDERS[given.backend](given)


def _add_wsgi_options(parser: argparse.ArgumentParser) -> None:
    arguments.add(
        parser,
        "--threads",
        16,
        type=arguments.count,
        metavar="COUNT",
        help="answer so many requests at a time (default: %(default)s)",
    )
    arguments.add(
        parser,
        "--caller-threads",
        type=arguments.count,
        metavar="COUNT",
        help="of which one caller may have so many (default: three quarters)",
    )
    arguments.add(
        parser,
        "--caller-timeout",
        CALLER_SECONDS,
        type=arguments.timeout,
        metavar="SECONDS",
        help="let a thread wait so long for a caller that sends or takes less than"
        f" {BYTES_PER_SECOND} bytes a second (default: {CALLER_SECONDS:g})",
    )


def _add_upstream(parser: argparse.ArgumentParser) -> None:
    timeouts = Timeouts()
    parser.add_argument("url", help=f"where it listens, such as {EXAMPLE}")
    for name, default, meaning in (
        ("connect", timeouts.connect, "for a connection"),
        ("response", timeouts.response, "for the head of a response"),
        ("idle", timeouts.idle, "for the next bytes of a body"),
        ("websocket", timeouts.websocket, "for the next bytes of a WebSocket"),
    ):
        arguments.add(
            parser,
            f"--{name}-timeout",
            default,
            type=arguments.timeout,
            metavar="SECONDS",
            help=f"wait so long {meaning} (default: {default:g})",
        )
    arguments.add_flag(
        parser,
        "--client-cert-chain",
        "tell it the caller's intermediate certificates, too (RFC 9440)",
    )
    parser.add_argument(
        "--insecure-acknowledged",
        action="store_true",
        help="pass requests on to what is not loopback, though who reaches it passes mutual TLS by",
    )


def _wsgi(given: argparse.Namespace) -> Backend:
    share = given.caller_threads or given.threads - given.threads // 4
    return Backend(Wsgi(load_wsgi(given.app), Threads(given.threads, share), given.caller_timeout))


def _upstream(given: argparse.Namespace) -> Backend:
    target = parse_target(given.url, insecure_acknowledged=given.insecure_acknowledged)
    timeouts = Timeouts(
        given.connect_timeout, given.response_timeout, given.idle_timeout, given.websocket_timeout
    )
    telemetry = UpstreamTelemetry()
    pool = Pool(target, timeouts, telemetry)
    return Backend(
        Upstream(pool, with_chain=given.client_cert_chain),
        websocket=cast("type[asyncio.Protocol]", partial(Tunnel, pool, given.client_cert_chain)),
        descriptors=2,
        metrics=telemetry.metrics,
    )


_BUILDERS: Final[dict[str, Callable[[argparse.Namespace], Backend]]] = {
    "identity": lambda _: Backend(None, identity.respond),
    "asgi": lambda given: Backend(load_asgi(given.app), lifespan="auto", websocket=PeerWebSocket),
    "wsgi": _wsgi,
    "upstream": _upstream,
}
