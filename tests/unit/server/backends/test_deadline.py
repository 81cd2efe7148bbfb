"""When a deadline calls."""

import asyncio

import pytest

from mtls_server.backends.upstream.deadline import Deadline


class Overdue(asyncio.Event):
    """Counts how often it was set."""

    calls = 0

    def set(self) -> None:
        self.calls += 1
        super().set()


@pytest.fixture
async def overdue() -> Overdue:
    return Overdue()


@pytest.fixture
async def deadline(overdue: Overdue) -> Deadline:
    return Deadline(overdue.set)


async def test_it_calls_once_when_the_time_is_over(deadline: Deadline, overdue: Overdue) -> None:
    deadline.allow(0.01)
    await asyncio.wait_for(overdue.wait(), 10)
    await asyncio.sleep(0.05)
    assert overdue.calls == 1


async def test_it_calls_again_for_a_time_allowed_later(deadline: Deadline, overdue: Overdue) -> None:
    for _ in range(2):
        deadline.allow(0.01)
        await asyncio.wait_for(overdue.wait(), 10)
        overdue.clear()
    assert overdue.calls == 2


async def test_less_time_may_be_allowed(deadline: Deadline, overdue: Overdue) -> None:
    deadline.allow(60)
    deadline.allow(0.01)
    await asyncio.wait_for(overdue.wait(), 10)


@pytest.mark.parametrize("more", [60, None])
async def test_more_time_may_be_allowed(deadline: Deadline, overdue: Overdue, more: float | None) -> None:
    deadline.allow(0.01)
    deadline.allow(more)
    await asyncio.sleep(0.05)
    assert not overdue.is_set()
    deadline.cancel()


async def test_it_never_calls_when_cancelled(deadline: Deadline, overdue: Overdue) -> None:
    deadline.allow(0.01)
    deadline.cancel()
    await asyncio.sleep(0.05)
    assert not overdue.is_set()
