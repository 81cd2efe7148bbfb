"""Keys are handed out once, one worker at a time, and later after failures."""

import asyncio
from datetime import UTC, datetime, timedelta

from mtls_operator.reconcile.deadlines import Deadlines
from mtls_operator.reconcile.queue import LONGEST_BACKOFF, KeyedQueue

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _queue() -> KeyedQueue[str]:
    return KeyedQueue(spread=lambda: 1.0)


async def test_a_key_added_twice_is_handed_out_once() -> None:
    queue = _queue()
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_key_added_while_held_comes_again_after_it_is_done() -> None:
    queue = _queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_failures_grow_the_pause_and_success_ends_it() -> None:
    queue = _queue()
    pauses = []
    for _ in range(10):
        queue.add("a")
        await queue.get()
        pauses.append(queue.retry("a"))
    assert pauses[:4] == [0.25, 0.5, 1.0, 2.0]
    assert pauses[-1] == LONGEST_BACKOFF
    queue.add("a")
    await queue.get()
    queue.done("a")
    queue.add("a")
    await queue.get()
    assert queue.retry("a") == 0.25


async def test_a_retry_after_is_honoured() -> None:
    queue = _queue()
    queue.add("a")
    await queue.get()
    assert queue.retry("a", at_least=7.0) == 7.0


async def test_a_retried_key_comes_back_by_itself() -> None:
    queue = _queue()
    queue.add("a")
    await queue.get()
    queue.retry("a")
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_passes_that_events_ask_for_between_failures_add_no_retries() -> None:
    queue: KeyedQueue[str] = KeyedQueue(spread=lambda: 0.1)
    for _ in range(3):
        queue.add("a")
        await queue.get()
        queue.retry("a")
    await asyncio.wait_for(queue.get(), 5)
    queue.done("a")
    await asyncio.sleep(0.15)
    assert len(queue) == 0


def test_a_new_deadline_replaces_the_former() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", NOON)
    deadlines.set("a", NOON + timedelta(hours=1))
    assert deadlines.due(NOON) == []
    assert deadlines.next() == NOON + timedelta(hours=1)
    assert deadlines.due(NOON + timedelta(hours=2)) == ["a"]
    assert deadlines.next() is None


def test_a_clock_that_jumps_makes_everything_due_that_it_jumped_over() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for hour, key in enumerate("abc"):
        deadlines.set(key, NOON + timedelta(hours=hour))
    deadlines.set("b", None)
    assert deadlines.due(NOON + timedelta(days=1)) == ["a", "c"]
