"""Two processes and one Lease: never two leaders, never long without one."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NoReturn

import pytest

from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.lease import LEASE, Elector, Installations, Timing, uptime
from mtls_operator.reconcile.ports import Object, Ref, Resource, UnavailableError
from tests.cluster.kubectl import Kubectl

pytestmark = pytest.mark.apiserver

QUICK = Timing(duration=1, trust=0.6, renewal=0.2, retry=0.1)


class Clock:
    """The machine's clock, until it is frozen as a stopped process sees it: far on at the next look."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return uptime() + self.ahead


class Contender:
    def __init__(self, client: ApiClient, namespace: str, name: str) -> None:
        self.clock = Clock()
        self.began = 0
        self.elector = Elector(
            client, Ref(LEASE, namespace, "mtls-operator"), name, random.Random(1), QUICK, self.clock
        )

    def leads(self) -> bool:
        return self.elector.leads

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.elector.run(stop, self._on_lead))
            yield
            stop.set()

    def _on_lead(self) -> None:
        self.began += 1


class Unreachable(ApiClient):
    """An API server that does not answer."""

    def __init__(self) -> None:
        pass

    async def get(self, ref: Ref) -> NoReturn:
        raise UnavailableError(f"no answer about {ref.name}")

    async def replace(self, resource: Resource, body: Object) -> NoReturn:
        raise UnavailableError(f"no answer about {resource.kind} {body['metadata']['name']}")


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    begun = uptime()
    while not condition():
        assert uptime() - begun < seconds
        await asyncio.sleep(0.02)


def holder(kubectl: Kubectl, namespace: str) -> str:
    lease = kubectl.get("lease", "mtls-operator", "-n", namespace)
    assert lease is not None
    holder = lease["spec"]["holderIdentity"]
    assert isinstance(holder, str)
    return holder


async def test_one_leads_until_it_leaves_then_the_other(
    client: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    first, second = (Contender(client, namespace, name) for name in ("first", "second"))
    with pytest.raises(UnavailableError, match="not the leader"):
        first.elector.guard()

    async with AsyncExitStack() as standby:
        async with first.running():
            await until(first.leads)
            first.elector.guard()
            await standby.enter_async_context(second.running())
            await asyncio.sleep(2 * QUICK.duration)
            assert first.leads()
            assert not second.leads()
            assert holder(kubectl, namespace) == "first"

        assert not first.leads()
        await until(second.leads, QUICK.duration)
        assert holder(kubectl, namespace) == "second"

    assert holder(kubectl, namespace) == ""
    assert (first.began, second.began) == (1, 1)


async def test_a_dead_leader_is_replaced_after_the_duration(client: ApiClient, namespace: str) -> None:
    dead, second = (Contender(client, namespace, name) for name in ("dead", "second"))
    dying = asyncio.create_task(dead.elector.run(asyncio.Event(), lambda: None))
    await until(dead.leads)
    dead.elector.cluster = Unreachable()
    dying.cancel()
    await asyncio.wait([dying])

    begun = uptime()
    async with second.running():
        await until(second.leads)
    assert uptime() - begun >= QUICK.duration


async def test_a_frozen_leader_writes_nothing_after_it_thaws(client: ApiClient, namespace: str) -> None:
    frozen, second = (Contender(client, namespace, name) for name in ("frozen", "second"))
    async with frozen.running():
        await until(frozen.leads)
        frozen.elector.cluster = Unreachable()
        frozen.clock.ahead = QUICK.trust
        with pytest.raises(UnavailableError):
            frozen.elector.guard()
        async with second.running():
            await until(second.leads)
            frozen.elector.cluster = client
            await asyncio.sleep(QUICK.duration)
            assert second.leads()
            assert not frozen.leads()


async def test_a_standby_whose_clock_jumps_takes_no_live_lease(client: ApiClient, namespace: str) -> None:
    leader, standby = (Contender(client, namespace, name) for name in ("leader", "standby"))
    async with leader.running():
        await until(leader.leads)
        async with standby.running():
            for _ in range(5):
                await asyncio.sleep(QUICK.renewal * 1.5)
                standby.clock.ahead += 3600
            assert leader.leads()
            assert not standby.leads()


async def test_an_outage_shorter_than_the_trust_is_not_noticed(client: ApiClient, namespace: str) -> None:
    leader = Contender(client, namespace, "leader")
    async with leader.running():
        await until(leader.leads)
        leader.elector.cluster = Unreachable()
        await asyncio.sleep(QUICK.renewal)
        leader.elector.cluster = client
        await asyncio.sleep(QUICK.trust)
        assert leader.leads()
        assert leader.began == 1


async def test_an_installation_lives_while_its_lease_moves(client: ApiClient, namespace: str) -> None:
    clock = Clock()
    installations = Installations(client, clock)
    other = f"{namespace}/mtls-operator"

    assert not await installations.alive(other)
    assert not await installations.alive("../mtls-operator")
    async with Contender(client, namespace, "other").running():
        await asyncio.sleep(QUICK.renewal)
        assert await installations.alive(other)
        clock.ahead = 3600
        await asyncio.sleep(2 * QUICK.renewal)
        assert await installations.alive(other), "it was renewed since"
    clock.ahead = 2 * 3600
    assert await installations.alive(other), "it was let go since, perhaps to restart"
    clock.ahead = 3 * 3600
    assert not await installations.alive(other)


async def test_an_installation_that_cannot_be_asked_counts_as_alive() -> None:
    assert await Installations(Unreachable()).alive("elsewhere/mtls-operator")
