"""What is added to a batch is done soon, in its order, and whatever else in it fails."""

import asyncio
import time
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from mtls_server.tls.batch import MAX_SECONDS, Batch, Batches

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="none")


async def passes() -> None:
    """Let the event loop do what was scheduled, and what that schedules."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_calls_happen_later_and_in_their_order() -> None:
    batch, done = Batch(), list[int]()
    for number in range(3):
        batch.add(partial(done.append, number))
    assert done == []
    await passes()
    assert done == [0, 1, 2]


async def test_what_a_call_adds_waits_for_another_pass() -> None:
    batch, done = Batch(), list[str]()

    def first() -> None:
        batch.add(lambda: done.append("added"))
        done.append("first")

    batch.add(first)
    asyncio.get_running_loop().call_soon(done.append, "between")
    await passes()
    assert done == ["first", "between", "added"]


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
async def test_a_call_that_fails_is_reported_and_takes_no_other_along(error: type[BaseException]) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    batch, done = Batch(), list[str]()

    def fail() -> None:
        raise error

    batch.add(fail)
    batch.add(lambda: done.append("other"))
    await passes()
    assert done == ["other"]
    assert [type(context["exception"]) for context in reported] == [error]


async def test_calls_see_nothing_of_the_context_in_which_they_were_added() -> None:
    batch, seen = Batch(), list[str]()

    async def request() -> None:
        VARIABLE.set("of a request")
        batch.add(lambda: seen.append(VARIABLE.get()))

    await asyncio.create_task(request())
    await passes()
    assert seen == ["none"]


async def test_answers_that_take_long_let_others_have_their_turn() -> None:
    batches, done = Batches(), list[str]()

    def answer(name: str) -> None:
        done.append(name)
        asyncio.get_running_loop().call_soon(done.append, "other")
        time.sleep(2 * MAX_SECONDS)

    for name in "abc":
        batches.answer.add(partial(answer, name))
    while len(done) < 6:  # noqa: ASYNC110 - what is awaited is a list that fills
        await asyncio.sleep(0)
    assert done == ["a", "other", "b", "other", "c", "other"]


async def test_what_is_left_again_and_again_is_done_no_more_often_in_later_passes() -> None:
    batches, done = Batches(), list[int]()

    def again() -> None:
        done.append(0)
        batches.answer.add(again)

    batches.answer.add(again)
    for _ in range(10):
        batches.hold()
        batches.run()
        await asyncio.sleep(0)
    assert len(done) <= 2 * 10
