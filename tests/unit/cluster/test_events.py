"""Events are few, and never in the way."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.events import EventRecorder
from mtls_operator.reconcile.ports import Object, UnavailableError

ORDERS: Object = {
    "apiVersion": "mtls-operator.io/v1alpha1",
    "kind": "MTLSService",
    "metadata": {"name": "orders", "namespace": "shop", "uid": "1"},
}


class Board(ApiClient):
    """Where Events are pinned."""

    def __init__(self) -> None:
        self.posted: list[Object] = []
        self.reachable = True

    async def post_event(self, body: Object) -> None:
        if not self.reachable:
            raise UnavailableError("not now")
        self.posted.append(body)


class World:
    def __init__(self) -> None:
        self.now = 0.0
        self.board = Board()
        self.recorder = EventRecorder(self.board, "operator-0", lambda: self.now)

    async def told(self, message: str = "The certificate was renewed.", service: Object = ORDERS) -> None:
        self.recorder.record(service, "Normal", "Renewed", message)
        for _ in range(3):
            await asyncio.sleep(0)

    @property
    def counts(self) -> list[int]:
        return [event["count"] for event in self.board.posted]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    posting = asyncio.create_task(world.recorder.run())
    yield world
    posting.cancel()


async def test_an_event_says_what_happened_to_what(world: World) -> None:
    await world.told()
    (event,) = world.board.posted
    assert event["involvedObject"] == {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": "MTLSService",
        "namespace": "shop",
        "name": "orders",
        "uid": "1",
    }
    assert event["metadata"]["namespace"] == "shop"
    assert event["metadata"]["name"].startswith("orders.")
    assert (event["type"], event["reason"], event["message"], event["count"]) == (
        "Normal",
        "Renewed",
        "The certificate was renewed.",
        1,
    )


async def test_repetitions_are_counted_every_five_minutes(world: World) -> None:
    for _ in range(4):
        await world.told()
    world.now = 299
    await world.told()
    assert world.counts == [1]
    world.now = 300
    await world.told()
    assert world.counts == [1, 5]
    assert len({event["metadata"]["name"] for event in world.board.posted}) == 1


async def test_other_words_or_another_object_are_another_event(world: World) -> None:
    await world.told()
    await world.told("The certificate expires soon.")
    await world.told(service={**ORDERS, "metadata": {**ORDERS["metadata"], "uid": "2"}})
    assert len({event["metadata"]["name"] for event in world.board.posted}) == 3


async def test_the_name_outlives_the_process(world: World) -> None:
    successor = World()
    posting = asyncio.create_task(successor.recorder.run())
    await world.told()
    await successor.told()
    posting.cancel()
    assert world.board.posted[0]["metadata"]["name"] == successor.board.posted[0]["metadata"]["name"]


async def test_one_that_could_not_be_posted_may_be_told_again(world: World) -> None:
    world.board.reachable = False
    await world.told()
    world.board.reachable = True
    await world.told()
    assert world.counts == [1]


async def test_pem_is_withheld_and_length_is_bounded(world: World) -> None:
    await world.told("-----BEGIN PRIVATE KEY-----")
    await world.told("x" * 5000)
    assert [len(event["message"]) <= 1024 for event in world.board.posted] == [True, True]
    assert "BEGIN" not in world.board.posted[0]["message"]


async def test_recording_never_waits(world: World) -> None:
    for number in range(5000):
        world.recorder.record(ORDERS, "Warning", "Busy", str(number))
    await settled(lambda: len(world.board.posted) == 1000)


async def settled(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("not settled")
