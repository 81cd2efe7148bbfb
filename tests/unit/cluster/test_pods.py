"""What pods answer, and what we make of it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from mtls_operator.cluster.pods import PodClient
from mtls_operator.reconcile.ports import UnavailableError
from mtls_server.contract import LeafState, ReloadState, State

STATE = State(
    version="1",
    generation=3,
    digest="ab" * 32,
    policy_digest="cd" * 32,
    leaf=LeafState(serial="0a", not_after="2030-01-01T00:00:00Z"),
    anchors=("ef",),
    last_reload=ReloadState("ok"),
)
NESTED = msgspec.json.encode(STATE)[:-1] + b',"more":' + 60_000 * b"["
BOMB = gzip.compress(bytes(32 << 20))
"""Half of what is read at most, and five hundred times that once it is inflated."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def pod(handler: Handler, address: str = "127.0.0.1") -> AsyncIterator[PodClient]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    try:
        async with PodClient(runner.addresses[0][1]) as client:
            yield client
    finally:
        await runner.cleanup()


def answering(body: bytes, status: int = 200, **headers: str) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert (request.method, request.path) == ("GET", "/state")
        return web.Response(status=status, body=body, headers=headers)

    return handler


async def bomb(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_pod_says_what_it_serves(address: str) -> None:
    async with pod(answering(msgspec.json.encode(STATE)), address) as client:
        assert await client.state(address) == STATE


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (answering(b"", 503), "pod answered HTTP 503"),
        (answering(b"", 302, Location="http://127.0.0.1/secret"), "pod answered HTTP 302"),
        (answering(b"{}"), "pod answered something that is no state"),
        (answering(b"hello"), "pod answered something that is no state"),
        (answering(NESTED), "pod answered something that is no state"),
        (answering(b'{"version":"\xff"}'), "pod answered something that is no state"),
        (answering(BOMB, 200, **{"Content-Encoding": "gzip"}), "pod answered something that is no state"),
        (answering(b" " * 70_000 + msgspec.json.encode(STATE)), "pod answered more than 65536 bytes"),
    ],
)
async def test_anything_else_is_no_answer(handler: Handler, reason: str) -> None:
    async with pod(handler) as client:
        with pytest.raises(UnavailableError, match=f"^{reason}$"):
            await client.state("127.0.0.1")


async def test_an_endless_answer_is_cut_off() -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    async with pod(endless) as client:
        with pytest.raises(UnavailableError, match=r"^pod did not answer within 2 s$"):
            await client.state("127.0.0.1")


async def test_nobody_listens() -> None:
    async with pod(answering(b"")) as client:
        pass
    async with PodClient(client._port) as client:
        with pytest.raises(UnavailableError, match="pod cannot be reached"):
            await client.state("127.0.0.1")


@pytest.mark.parametrize("address", ["", "example.com", "127.0.0.1:80/x", "fe80::1%eth0/../"])
async def test_only_an_address_is_asked(address: str) -> None:
    async with PodClient() as client:
        with pytest.raises(UnavailableError, match="no usable address"):
            await client.state(address)
