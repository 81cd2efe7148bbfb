"""One pass over one service: observe, decide, act, until nothing is left to do; then say what is."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, Protocol

from pydantic import ValidationError

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_operator.pki.entropy import Entropy

from .act import Actor
from .deadlines import Deadlines
from .decide import INVALID_SPEC, decide
from .plan import RETRY_TAKEN, Notice, Problem
from .ports import (
    MTLSSERVICE,
    POD,
    SECRET,
    WORKLOAD,
    Cluster,
    ConflictError,
    Object,
    Ref,
    Resource,
    UnavailableError,
)
from .references import references
from .status import build_status, first_sight, problem_notice
from .store import Key, Store, ref_of
from .world import World

MOST_ROUNDS = 12
"""A service that needs more steps than this at once is looked at again later, after the others."""
STATUS_INTERVAL = timedelta(seconds=1)
"""A service's status is written at most this often."""
PATIENCE = timedelta(seconds=30)
"""How long the steps of a service may fail, each tried again, before its status says so."""
WRITE_FAILING = "WriteFailing"
RETRY_REFUSED = timedelta(seconds=15)
RETRY_CLAIM = timedelta(seconds=30)

logger = logging.getLogger(__name__)


class Recorder(Protocol):
    """Records Events; never blocks and never fails."""

    def record(
        self, regarding: Object, severity: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event about an object."""


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
        self._status_written: dict[Key, datetime] = {}
        self._failing_since: dict[Key, datetime] = {}

    async def reconcile(self, key: Key) -> None:
        """Bring the service to what its spec asks for.

        Raises:
            ClusterError: something could not be done now; the same pass shall be tried again.
        """
        observed = self._store.get(Ref(MTLSSERVICE, key.namespace, key.name))
        if observed is None or observed["metadata"].get("deletionTimestamp"):
            self._forget(key)
        elif await self._claim(key, observed):
            await self._converge(key)

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
            await self._apply_status(world, first_sight(world), precondition=True)
        except ConflictError:
            self._deadlines.set(key, self._with.clock() + STATUS_INTERVAL)
            return False
        return True

    async def _converge(self, key: Key) -> None:
        refused: tuple[Problem, ...] = ()
        for _ in range(MOST_ROUNDS):
            world = await self._look(key)
            if world is None:
                return
            loop = asyncio.get_running_loop()
            report, plan = await loop.run_in_executor(self._with.threads, decide, world, self._with.entropy)
            if not plan.acts or refused:
                break
            try:
                refused = await self._with.actor.act(world.service, plan, partial(self._tell, world))
            except UnavailableError as error:
                problems = (*plan.problems, Problem(WRITE_FAILING, str(error)))
                await self._say_if_it_lasts(key, world, build_status(world, report, problems))
                raise
            if plan.more:
                break
        else:
            self._deadlines.set(key, self._with.clock() + STATUS_INTERVAL)
            return
        self._failing_since.pop(key, None)
        wake = world.now if plan.more else plan.wake
        if refused:
            wake = min(filter(None, (wake, world.now + RETRY_REFUSED)))
        status = build_status(world, report, (*plan.problems, *refused))
        if not report.settling:
            wake = await self._say(key, world, status, wake)
        self._deadlines.set(key, wake)

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
        for ref, seen in tuple(self._with.actor.memory(key).taken.items()):
            if not _within(RETRY_TAKEN, seen, self._with.clock()):
                await self._with.actor.look_again(service, ref)
        return self._observe(key, service)

    def _observe(self, key: Key, service: MTLSService) -> World:
        store, settings, memory = self._store, self._with.settings, self._with.actor.memory(key)
        authority = Ref(SECRET, settings.namespace, names.authority_secret(service.metadata.uid))
        pods = tuple(store.of(key, POD))
        named = set(references(service))
        store.refer(key, named)
        for uid in memory.deliveries.keys() - {pod["metadata"]["uid"] for pod in pods}:
            del memory.deliveries[uid]
        return World(
            service=service,
            settings=settings,
            now=self._with.clock(),
            authority=store.get(authority),
            secrets={
                ref_of(SECRET, secret): secret
                for secret in self._known(key, SECRET, _leaf_secrets(service))
                if key.namespace != settings.namespace
                or not secret["metadata"]["name"].startswith(names.AUTHORITY_PREFIX)
            },
            references={ref: found for ref in named if (found := store.get(ref))},
            workload={
                (resource.kind, item["metadata"]["name"]): item
                for resource in WORKLOAD
                for item in self._known(key, resource, (key.name,))
            },
            pods=pods,
            deliveries=dict(memory.deliveries),
            rolled=dict(memory.rolled),
            taken=frozenset(memory.taken),
            unchanged=dict(memory.unchanged),
        )

    def _known(self, key: Key, resource: Resource, wanted: Iterable[str]) -> Iterator[Object]:
        """Return what says that it belongs to the service, and what has a name that the service needs."""
        yield from self._store.of(key, resource)
        for name in wanted:
            observed = self._store.get(Ref(resource, key.namespace, name))
            if observed is not None:
                yield observed

    async def _say(self, key: Key, world: World, status: Object, wake: datetime | None) -> datetime | None:
        """Write the status if it differs, at most once a second; return when to look again."""
        observed = self._store.get(Ref(MTLSSERVICE, key.namespace, key.name))
        if observed is None or observed.get("status") == status:
            return wake
        written = self._status_written.get(key)
        if written is not None and _within(STATUS_INTERVAL, written, world.now):
            return min(filter(None, (wake, written + STATUS_INTERVAL)))
        notice = problem_notice(world, status)
        if notice is not None:
            self._tell(world, notice)
        await self._apply_status(world, status, precondition=False)
        self._status_written[key] = self._with.clock()
        return wake

    async def _say_if_it_lasts(self, key: Key, world: World, status: Object) -> None:
        """Write the status of a service whose steps keep failing; a short failure is nobody's business."""
        since = self._failing_since.setdefault(key, world.now)
        if not _within(PATIENCE, since, world.now):
            await self._say(key, world, status, None)

    async def _apply_status(self, world: World, status: Object, *, precondition: bool) -> None:
        metadata = world.service.metadata
        identity = {"namespace": metadata.namespace, "name": metadata.name, "uid": metadata.uid}
        body = {
            "apiVersion": MTLSSERVICE.api_version,
            "kind": MTLSSERVICE.kind,
            "metadata": identity | ({"resourceVersion": metadata.resource_version} if precondition else {}),
            "status": status,
        }
        self._store.put(MTLSSERVICE, await self._with.cluster.apply_status(MTLSSERVICE, body))

    def _tell(self, world: World, notice: Notice) -> None:
        observed = self._store.get(
            Ref(MTLSSERVICE, world.service.metadata.namespace, world.service.metadata.name)
        )
        if observed is not None:
            self._with.recorder.record(observed, notice.severity, notice.reason, notice.message)

    def _forget(self, key: Key) -> None:
        self._deadlines.set(key, None)
        self._store.refer(key, ())
        self._status_written.pop(key, None)
        self._failing_since.pop(key, None)
        self._with.actor.forget(key)


def _leaf_secrets(service: MTLSService) -> Iterator[str]:
    yield names.server_secret(service.metadata.name)
    for client in service.spec.clients:
        yield names.client_secret(service.metadata.name, client.name)


def _within(interval: timedelta, begun: datetime, now: datetime) -> bool:
    """Whether it is still too early; a moment in the future was seen before the clock was set back."""
    return begun <= now < begun + interval
