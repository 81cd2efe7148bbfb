"""Whoever's descriptor is ready is told, in one pass for all, and an error is never kept from anybody."""

import asyncio
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from mtls_server.tls.poller import READABLE, WRITABLE, Poller
from tests.unit.server.program import PATIENCE
from tests.unit.server.tls.harness import LOOPS, reset


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Run a scenario on the loop under test."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield lambda scenario: runner.run(asyncio.wait_for(scenario, PATIENCE))


def connected() -> tuple[socket.socket, socket.socket]:
    """A client, and the server's non-blocking end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
    accepted.settimeout(0)
    return client, accepted


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is awaited is a list that fills
        await asyncio.sleep(0.001)


def test_who_is_ready_is_told_until_it_is_discarded(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        poller, told = Poller(), list[int]()
        client, own = connected()
        with client, own:
            poller.add(own.fileno(), told.append)
            await asyncio.sleep(0.02)
            assert told == []
            client.sendall(b"x")
            await until(lambda: len(told) > 1)
            assert set(told) == {READABLE}
            poller.discard(own.fileno())
            poller.discard(own.fileno())
            told.clear()
            await asyncio.sleep(0.02)
            assert told == []
        poller.close()

    run(scenario())


def test_another_can_take_over_and_watch_for_something_else(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        poller, first, second = Poller(), list[int](), list[int]()
        client, own = connected()
        with client, own:
            poller.add(own.fileno(), first.append)
            poller.hand_over(own.fileno(), second.append)
            client.sendall(b"x")
            await until(lambda: second)
            poller.watch(own.fileno(), WRITABLE, second.append)
            await until(lambda: WRITABLE in second)
            assert first == []
            poller.discard(own.fileno())
        poller.close()

    run(scenario())


def test_an_error_is_told_again_and_again_though_nothing_is_watched_for(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        poller, told = Poller(), list[int]()
        client, own = connected()
        with own:
            poller.add(own.fileno(), told.append)
            poller.watch(own.fileno(), 0, told.append)
            client.sendall(b"x")
            await asyncio.sleep(0.02)
            assert told == []
            reset(client)
            await until(lambda: len(told) > 3)
            assert set(told) == {select.EPOLLERR | select.EPOLLHUP}
            poller.discard(own.fileno())
        poller.close()

    run(scenario())


def test_who_is_discarded_by_another_in_the_same_pass_is_not_told(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        poller, told = Poller(), list[socket.socket]()
        pairs = [connected(), connected()]

        def tell(mine: socket.socket, other: socket.socket) -> None:
            told.append(mine)
            poller.discard(mine.fileno())
            poller.discard(other.fileno())

        ends = [own for _, own in pairs]
        for own, other in (ends, ends[::-1]):
            poller.add(own.fileno(), lambda _, own=own, other=other: tell(own, other))  # type: ignore[misc]
        for client, _ in pairs:
            client.sendall(b"x")
        await until(lambda: told)
        await asyncio.sleep(0.02)
        assert len(told) == 1
        for one in (one for pair in pairs for one in pair):
            one.close()
        poller.close()

    run(scenario())


def test_who_fails_is_reported_and_keeps_nobody_from_being_told(run: Callable[..., None]) -> None:
    async def scenario() -> None:
        reported = list[type[BaseException]]()
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(type(context["exception"]))
        )
        poller, told = Poller(), list[int]()
        pairs = [connected() for _ in range(3)]

        def fail(_events: int) -> None:
            raise ZeroDivisionError

        for tell, (client, own) in zip((fail, told.append, fail), pairs, strict=True):
            poller.add(own.fileno(), tell)
            client.sendall(b"x")
        await until(lambda: told and len(reported) > 1)
        assert set(reported) == {ZeroDivisionError}
        for client, own in pairs:
            poller.discard(own.fileno())
            client.close()
            own.close()
        poller.close()

    run(scenario())


def test_the_steps_follow_in_the_same_pass_in_their_order(run: Callable[..., None]) -> None:
    """Whatever the order in which they are added; what comes too late for its step follows soon."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        poller, done = Poller(), list[str]()
        batches = poller.batches
        client, own = connected()

        def deliver() -> None:
            done.append("deliver")
            batches.start.add(lambda: done.append("start again"))
            batches.end.add(lambda: done.append("end"))

        def tell(_events: int) -> None:
            poller.discard(own.fileno())
            loop.call_soon(done.append, "pass over")
            batches.deliver.add(deliver)
            batches.start.add(lambda: done.append("start"))

        with client, own:
            poller.add(own.fileno(), tell)
            client.sendall(b"x")
            await until(lambda: "start again" in done)
            assert done == ["start", "deliver", "end", "pass over", "start again"]
            batches.flush.add(lambda: done.append("flush"))
            await until(lambda: "flush" in done)
        poller.close()
        poller.close()
        assert poller.closed

    run(scenario())
