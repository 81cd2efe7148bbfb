"""What is over its deadline ends, and nothing else."""

import asyncio
from dataclasses import dataclass, field

from mtls_server.tls.patience import Patience

FAR = 60.0


@dataclass(eq=False)
class Limited:
    deadline: float
    expired: asyncio.Event = field(default_factory=asyncio.Event)
    among: set["Limited"] = field(default_factory=set)

    def expire(self) -> None:
        self.among.discard(self)
        self.expired.set()


def due_in(seconds: float) -> Limited:
    return Limited(asyncio.get_running_loop().time() + seconds)


def waiting(*limited: Limited) -> tuple[Patience, set[Limited]]:
    """Be patient with these, in this order."""
    collection: set[Limited] = set()
    patience = Patience(collection)
    for one in limited:
        one.among = collection
        collection.add(one)
        patience.bear(one.deadline)
    return patience, collection


async def ends(one: Limited) -> None:
    await asyncio.wait_for(one.expired.wait(), FAR / 2)


async def test_what_is_late_expires_also_if_something_later_came_first() -> None:
    far, near = due_in(FAR), due_in(0.01)
    patience, _ = waiting(far, near)
    await ends(near)
    assert not far.expired.is_set()
    patience.stop()


async def test_each_expires_at_its_own_time() -> None:
    first, second, far = due_in(0.01), due_in(0.1), due_in(FAR)
    patience, _ = waiting(first, second, far)
    await ends(first)
    await ends(second)
    assert not far.expired.is_set()
    patience.stop()


async def test_who_is_given_more_time_does_not_expire() -> None:
    granted, near = due_in(0.01), due_in(0.02)
    patience, _ = waiting(granted, near)
    granted.deadline += FAR
    await ends(near)
    assert not granted.expired.is_set()
    patience.stop()


async def test_what_is_gone_does_not_expire() -> None:
    gone, near = due_in(0.01), due_in(0.02)
    patience, collection = waiting(gone, near)
    collection.discard(gone)
    await ends(near)
    assert not gone.expired.is_set()
    patience.stop()


async def test_after_its_end_nothing_expires_until_something_new_comes() -> None:
    forgotten = due_in(0.01)
    patience, collection = waiting(forgotten)
    patience.stop()
    await asyncio.sleep(0.05)
    assert not forgotten.expired.is_set()
    new = due_in(0.01)
    collection.add(new)
    patience.bear(new.deadline)
    await ends(new)
    patience.stop()
