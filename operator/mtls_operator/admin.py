"""The operator's own admin port: what kubelet and Prometheus ask it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], str]
"""Returns why the answer is no, in words; empty when all is well."""


@asynccontextmanager
async def serve(
    port: int, alive: Check, ready: Check, metrics: CollectorRegistry, host: str | None = None
) -> AsyncIterator[int]:
    """Serve ``/livez``, ``/readyz`` and ``/metrics`` for as long as the context is open.

    Args:
        port: 0 takes a free one.
        alive: whether a restart would not help.
        ready: whether the operator does its work, or stands by to take it over.
        metrics: what is exposed.
        host: address to listen on; None is all, IPv4 and IPv6.

    Yields:
        The port.
    """
    application = web.Application()
    application.add_routes(
        [
            web.get("/livez", _answer(alive)),
            web.get("/readyz", _answer(ready)),
            web.get("/metrics", _expose(metrics)),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _answer(check: Check) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        trouble = check()
        return web.Response(text=f"{trouble or 'ok'}\n", status=503 if trouble else 200)

    return handler


def _expose(metrics: CollectorRegistry) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return handler
