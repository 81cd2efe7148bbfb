"""One pass over one service: observe, decide, act, until nothing is left to do; then say what is."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from pydantic import ValidationError

from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_operator.pki.entropy import Entropy

from .act import Actor
from .deadlines import Deadlines, within
from .decide.consent import absent, withdraw
from .decide.hearsay import unconfirmed
from .decide.service import INVALID_SPEC, Report, decide
from .herald import Herald, Recorder
from .observe import observe
from .plan import RETRY_REFUSED, RETRY_TAKEN, STATUS_INTERVAL, Plan, Problem
from .ports import MTLSSERVICE, Cluster, ConflictError, Key, Object, Ref, UnavailableError
from .store import Store
from .world import World

MOST_ROUNDS = 12
"""A service that needs more steps than this at once is looked at again later, after the others."""
WRITE_FAILING = "WriteFailing"
RETRY_CLAIM = timedelta(seconds=30)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a reconciler works with, beside what it watches."""

    settings: Settings
    cluster: Cluster
    actor: Actor
    recorder: Recorder
    entropy: Entropy
    threads: Executor
    """Where decisions are made, since keys take time: apart from what else runs in threads."""
    clock: Callable[[], datetime]
    is_alive: Callable[[str], Awaitable[bool]]
    """Whether another installation, by identity, is at work."""


class Reconciler:
    """Brings one service at a time to what its spec asks for."""

    def __init__(self, store: Store, deadlines: Deadlines[Key], surroundings: Surroundings) -> None:
        self._store = store
        self._deadlines = deadlines
        self._with = surroundings
        self._herald = Herald(store, surroundings.cluster, surroundings.recorder, surroundings.clock)

    async def reconcile(self, key: Key) -> None:
        """Bring the service to what its spec asks for.

        Raises:
            ClusterError: something could not be done now; the same pass shall be tried again.
        """
        self._with.actor.memory(key).live.clear()
        await self._pass(key)

    async def _pass(self, key: Key) -> None:
        observed = self._store.get(Ref(MTLSSERVICE, *key))
        if observed is None:
            await self._turn_away(key)
        elif observed["metadata"].get("deletionTimestamp"):
            self._forget(key)
        elif await self._claim(key, observed):
            await self._converge(key)

    async def _turn_away(self, key: Key) -> None:
        """Tell the MTLSClients of a service that is not there, and take back what they had from it."""
        world = self._observe(key, absent(key))
        if not world.callers:
            self._forget(key)
        elif await self._confirm(key, world):
            await self._pass(key)
        else:
            await self._with.actor.act(world.service, withdraw(world), partial(self._herald.record, world))
            rest = withdraw(self._observe(key, absent(key)))
            told = await self._herald.tell_clients(world, Report(admission=world.admission))
            self._deadlines.set(key, world.now + STATUS_INTERVAL if rest.acts else _earliest(told, rest.wake))

    async def _confirm(self, key: Key, world: World) -> bool:
        """Read live what the next steps would take from somebody on hearsay; say whether there was any."""
        doubts = unconfirmed(world)
        await self._with.actor.confirm(key, doubts)
        return bool(doubts)

    async def _claim(self, key: Key, observed: Object) -> bool:
        """Make sure that this instance, and no other, cares for the service."""
        instance = (observed.get("status") or {}).get("instance")
        ours = self._with.settings.identity
        if instance == ours:
            return True
        if instance and await self._with.is_alive(instance):
            message = f"the installation {instance} cares for this service, so {ours} leaves it alone"
            self._with.recorder.record(observed, "Warning", "OtherInstance", message)
            self._deadlines.set(key, self._with.clock() + RETRY_CLAIM)
            return False
        world = self._observe(key, MTLSService.model_validate({**observed, "spec": {}}))
        try:
            await self._herald.claim(world)
        except ConflictError:
            self._deadlines.set(key, self._with.clock() + STATUS_INTERVAL)
            return False
        return True

    async def _converge(self, key: Key) -> None:
        refused: tuple[Problem, ...] = ()
        rounds = 0
        while True:
            rounds += 1
            world = await self._look(key)
            if world is None:
                return
            if await self._confirm(key, world):
                await self._pass(key)
                return
            loop = asyncio.get_running_loop()
            report, plan = await loop.run_in_executor(self._with.threads, decide, world, self._with.entropy)
            if not plan.acts or refused:
                break
            try:
                refused = await self._with.actor.act(world.service, plan, partial(self._herald.record, world))
            except UnavailableError as error:
                problems = (*plan.problems, Problem(WRITE_FAILING, str(error)))
                await self._herald.tell_if_it_lasts(world, report, problems)
                raise
            if plan.more:
                break
            if rounds == MOST_ROUNDS:
                plan += Plan(wake=world.now + STATUS_INTERVAL)
                break
        self._herald.recovered(key)
        wake = world.now if plan.more else plan.wake
        if refused:
            wake = _earliest(wake, world.now + RETRY_REFUSED)
        if not report.settling:
            told = await self._herald.tell(world, report, (*plan.problems, *refused))
            wake = _earliest(wake, told)
        told = await self._herald.tell_clients(world, report)
        self._deadlines.set(key, _earliest(wake, told))

    async def _look(self, key: Key) -> World | None:
        """Observe the world; names that were taken are looked at live once in a while."""
        observed = self._store.get(Ref(MTLSSERVICE, key.namespace, key.name))
        if observed is None:
            return None
        try:
            service = MTLSService.model_validate(observed)
        except ValidationError as error:
            fields = sorted({".".join(map(str, detail["loc"])) for detail in error.errors()})
            message = (
                f"this operator does not understand {', '.join(fields)}; upgrade it to the version of the CRD"
            )
            self._with.recorder.record(observed, "Warning", INVALID_SPEC, message)
            return None
        memory = self._with.actor.memory(key)
        for ref, taken in tuple(memory.taken.items()):
            if not within(RETRY_TAKEN, taken.seen, self._with.clock()):
                await self._with.actor.look_again(memory, taken.wanted_by, ref)
        return self._observe(key, service)

    def _observe(self, key: Key, service: MTLSService) -> World:
        memory, settings, now = self._with.actor.memory(key), self._with.settings, self._with.clock()
        for ref, refused in tuple(memory.refused.items()):
            if not within(RETRY_REFUSED, refused.at, now):
                del memory.refused[ref]
        return observe(self._store, memory, settings, service, now)

    def _forget(self, key: Key) -> None:
        self._deadlines.set(key, None)
        self._store.refer(key, ())
        self._herald.forget(key)
        self._with.actor.forget(key)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min(filter(None, moments), default=None)
