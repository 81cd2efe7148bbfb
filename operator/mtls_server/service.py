"""The server as a whole: application, files, listener and admin port, from start to end."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from prometheus_client import CollectorRegistry
from uvicorn._types import ASGI3Application
from uvicorn.config import Config

from mtls_server import admin
from mtls_server.backends.commands import Backend
from mtls_server.files.context import TlsSettings
from mtls_server.files.watch import Watcher
from mtls_server.http.access import AccessLog
from mtls_server.http.graceful import DrainState
from mtls_server.http.logged import LoggedProtocol
from mtls_server.http.peer import Admission, PeerProtocol
from mtls_server.live import LiveConnections
from mtls_server.observe import Telemetry
from mtls_server.server import Drain, serve, use_all_descriptors
from mtls_server.tls.listener import Listener
from mtls_server.tls.sockets import Limits, bind

LOGGER: Final = logging.getLogger("mtls_server")
KEEP_ALIVE_SECONDS: Final = 75
MAX_WEBSOCKET_MESSAGE: Final = 1 << 20
SPARE_DESCRIPTORS: Final = 64 + admin.MAX_CONNECTIONS
"""For files, sockets that listen, the admin port and what the application opens."""


class StartError(Exception):
    """The server cannot start; the message says why."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    directory: Path
    host: str | None
    """None is every address."""
    port: int
    admin_port: int
    tls: TlsSettings
    drain: Drain
    backend: Backend
    caller_connections: int | None = None
    """None is half of those that there is room for."""
    access_log: BinaryIO | None = None
    """Takes a line for each request; None: nobody wants to know."""


async def run(options: Options) -> None:
    """Serve until a signal comes.

    Raises:
        StartError: the application does not start, or a port cannot be had; perhaps in a group.
        CancelledError: a signal came before anything was served.
    """
    _end_on_signal()
    limits = limits_within(use_all_descriptors(), options.backend.descriptors)
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    for metric in options.backend.metrics:
        registry.register(metric)
    live = LiveConnections(telemetry, share=options.caller_connections or max(1, limits.connections // 2))
    telemetry.count_connections(live.by_generation)
    watcher = Watcher(options.directory, options.tls, telemetry)
    watcher.follow(live.judge_again)
    readiness = admin.Readiness(watcher)
    config = _configure(options)
    state = DrainState()
    async with (
        _admin_port(admin.application(readiness, registry), options),
        _in_background(watcher.run(), live.run(), _keep_date(state)),
        _started(config) as app_state,
    ):
        readiness.application_started = True
        LOGGER.info("waiting for files that can serve in %s", options.directory)
        await watcher.ready.wait()
        with _explained(options.host, options.port):
            sockets = bind(options.host, options.port, limits)
        told = (config, state, app_state, Admission(live, telemetry, options.backend.respond))
        access = AccessLog(options.access_log) if options.access_log is not None else None
        protocol_factory = partial(LoggedProtocol, *told, access) if access else partial(PeerProtocol, *told)
        listener = Listener(sockets, limits, watcher.current, protocol_factory, telemetry)
        listener.follow(live)
        state.turns = listener.answers
        if access is not None:
            listener.follow(access)
        readiness.listening = True
        LOGGER.info("serving", extra={"fields": {"port": sockets[0].getsockname()[1]}})
        await serve(listener, options.drain, readiness.drain, state.drain)


def limits_within(descriptors: int, per_connection: int = 1) -> Limits:
    """Return what may be admitted so that descriptors stay free for everything else."""
    default = Limits()
    room = (descriptors - SPARE_DESCRIPTORS) // per_connection
    return replace(default, connections=max(1, min(default.connections, room)))


def _end_on_signal() -> None:
    """Until `serve` takes the signals over; as process 1 of a container none would have an effect."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _configure(options: Options) -> Config:
    config = Config(
        cast("ASGI3Application", options.backend.application),
        http=PeerProtocol,
        ws=options.backend.websocket or "none",
        ws_max_size=MAX_WEBSOCKET_MESSAGE,
        ws_per_message_deflate=False,
        interface="asgi3",
        lifespan=options.backend.lifespan,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    return config


@asynccontextmanager
async def _started(config: Config) -> AsyncIterator[dict[str, Any]]:
    """Run the application's lifespan and yield the state that it shares with requests."""
    lifespan = config.lifespan_class(config)
    await lifespan.startup()
    if lifespan.should_exit:
        raise StartError("the application did not start; its error is logged above")
    try:
        yield lifespan.state
    finally:
        await lifespan.shutdown()


@asynccontextmanager
async def _admin_port(application: ASGI3Application, options: Options) -> AsyncIterator[None]:
    with _explained(options.host, options.admin_port):
        sockets = bind(options.host, options.admin_port, Limits())
    servers = await admin.listen(application, sockets)
    LOGGER.info("admin port open", extra={"fields": {"port": sockets[0].getsockname()[1]}})
    try:
        yield
    finally:
        for server in servers:
            server.close()


@asynccontextmanager
async def _in_background(*jobs: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run what never ends by itself; if it fails, so does the server."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job) for job in jobs]
        yield
        for task in tasks:
            task.cancel()


async def _keep_date(state: DrainState) -> None:
    """Renew the Date field of responses every second (RFC 9110 §6.6.1)."""
    while True:
        state.set_date(formatdate(usegmt=True))
        await asyncio.sleep(1)


@contextmanager
def _explained(host: str | None, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(f"cannot listen on {host or 'any address'}, port {port}: {error.strerror}") from None
