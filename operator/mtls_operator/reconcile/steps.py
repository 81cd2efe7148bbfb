"""Take many steps for one service, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from .plan import Problem

MOST_AT_ONCE = 8
"""Steps of one service under way, so that one with a thousand clients lets others, and the Lease, through."""

Step = Callable[[], Awaitable[Problem | None]]


async def gather(steps: Iterable[Step]) -> tuple[Problem, ...]:
    """Take all steps, a few at a time; return the problems found, or raise what one of them raised."""
    slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def in_turn(step: Step) -> Problem | None:
        async with slots:
            return await step()

    outcomes = await asyncio.gather(*map(in_turn, steps), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return tuple(outcome for outcome in outcomes if isinstance(outcome, Problem))
