"""Connections that are kept between requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from mtls_server.backends.upstream import pool as pools
from mtls_server.backends.upstream.connection import Connection, Timeouts
from mtls_server.backends.upstream.heads import Body, Request
from mtls_server.backends.upstream.pool import Pool
from mtls_server.backends.upstream.target import Target
from mtls_server.backends.upstream.telemetry import UpstreamTelemetry
from tests.unit.server.backends.origin import OK, Origin, Visit, origin
from tests.unit.server.program import PATIENCE

GET = Request(
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", Body.NONE, is_head=False, repeatable=True, opens_websocket=False
)


@pytest.fixture
def behind() -> Iterator[Origin]:
    with origin() as started:
        started.answer()
        yield started


class Remembering(Pool):
    """Remembers what it made, so that the test can end it."""

    def __init__(self, target: Target) -> None:
        super().__init__(target, Timeouts(), UpstreamTelemetry())
        self.made: list[Connection] = []

    async def connect(self) -> Connection:
        self.made.append(await super().connect())
        return self.made[-1]


@pytest.fixture
async def pool(behind: Origin) -> AsyncIterator[Pool]:
    remembering = Remembering(Target("127.0.0.1", behind.listener.getsockname()[1]))
    yield remembering
    for connection in remembering.made:
        connection.abort(None)
    await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.01)


async def used(pool: Pool) -> Connection:
    """Make a connection serve once."""
    connection = await pool.connect()
    connection.begin(GET)
    assert (await connection.head()).status == 200
    assert await connection.read() == (b"ok", False)
    return connection


async def test_the_connection_used_last_serves_first(pool: Pool) -> None:
    first, second = await used(pool), await used(pool)
    pool.give_back(first)
    pool.give_back(second)
    assert [pool.take(), pool.take(), pool.take()] == [second, first, None]


async def test_a_connection_that_did_not_finish_is_not_kept(pool: Pool) -> None:
    connection = await pool.connect()
    connection.begin(GET)
    pool.give_back(connection)
    assert pool.take() is None
    assert not connection.is_usable


async def test_a_connection_that_the_server_closes_is_not_kept(pool: Pool, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.say(OK)

    behind.script = script
    connection = await used(pool)
    pool.give_back(connection)
    await until(lambda: not connection.is_usable)
    assert pool.take() is None


async def test_a_connection_on_which_the_server_speaks_unasked_is_not_kept(
    pool: Pool, behind: Origin
) -> None:
    speak = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(visit: Visit) -> None:
        visit.request()
        visit.say(OK)
        asyncio.run_coroutine_threadsafe(speak.wait(), loop).result(PATIENCE)
        visit.say(OK)
        visit.read(1)

    behind.script = script
    connection = await used(pool)
    pool.give_back(connection)
    speak.set()
    await until(lambda: not connection.is_usable)
    assert pool.take() is None


async def test_idle_connections_are_closed(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.1)
    connection = await used(pool)
    pool.give_back(connection)
    await until(lambda: not connection.is_usable)
    assert pool.take() is None


async def test_no_more_than_so_many_are_kept(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MAX_IDLE", 1)
    kept, surplus = await used(pool), await used(pool)
    pool.give_back(kept)
    pool.give_back(surplus)
    assert not surplus.is_usable
    assert [pool.take(), pool.take()] == [kept, None]
