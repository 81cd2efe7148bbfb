"""Many leaves due at one instant reach the API server one after the other."""

import asyncio
from collections import Counter
from datetime import timedelta

from mtls_operator.reconcile.pace import BURST, RATE, Pace

from .api import Operator
from .universe import service_object

CLIENTS = 120
TENTH = RATE / 10
"""A tenth of the pace for so many fewer leaves than a service can have."""


class Timetable:
    """Remembers in which second each write would be sent, and waits for none of them."""

    def __init__(self) -> None:
        self.seconds: Counter[int] = Counter()

    async def sleep(self, delay: float) -> None:
        self.seconds[int(delay)] += 1


async def test_many_leaves_due_at_one_instant_are_no_herd() -> None:
    timetable = Timetable()
    operator = _operator(Pace(TENTH, clock=lambda: 0.0, sleep=timetable.sleep))
    await _settle(operator)
    operator.now += timedelta(hours=13.5)  # past every renewal
    timetable.seconds.clear()
    renewals = await _settle(operator)
    assert sum(write.startswith("replace Secret") for write in renewals) == CLIENTS + 1
    assert max(timetable.seconds.values()) <= TENTH + 1


async def test_so_many_may_go_at_once_and_the_rest_a_second() -> None:
    timetable = Timetable()
    pace = Pace(clock=lambda: 0.0, sleep=timetable.sleep)
    for _ in range(1000):
        await pace.turn()
    assert abs(sum(timetable.seconds.values()) - (1000 - BURST)) <= 1
    assert all(abs(count - RATE) <= 1 for count in timetable.seconds.values())


async def test_after_a_rest_there_is_a_burst_again() -> None:
    waits: list[float] = []

    async def sleep(delay: float) -> None:
        waits.append(delay)

    now = 0.0
    pace = Pace(rate=10, burst=2, clock=lambda: now, sleep=sleep)
    for _ in range(3):
        await pace.turn()
    now = 5.0
    for _ in range(3):
        await pace.turn()
    assert [round(wait, 3) for wait in waits] == [0.1, 0.1]


async def test_the_servers_own_secret_and_its_workload_wait_for_nobody() -> None:
    async def never(delay: float) -> None:
        await asyncio.sleep(60 + delay)

    operator = _operator(Pace(rate=0.001, burst=1, clock=lambda: 0.0, sleep=never))
    work = asyncio.create_task(operator.reconcile())
    async with asyncio.timeout(30):
        while "apply NetworkPolicy shop/orders" not in operator.api.writes:  # noqa: ASYNC110 - it only records
            await asyncio.sleep(0.01)
    assert "create Secret shop/orders-server" in operator.api.writes
    work.cancel()


def _operator(pace: Pace) -> Operator:
    clients = [{"name": f"client-{number}"} for number in range(CLIENTS)]
    return Operator(service_object({"clients": clients}), pace=pace)


async def _settle(operator: Operator) -> list[str]:
    """Make passes until one writes nothing."""
    writes = []
    while made := await operator.reconcile():
        writes += made
        operator.now += timedelta(seconds=1)
    return writes
