"""Carry out a plan: every write on its own, what the API server answers taken in at once."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from mtls_operator.api import names
from mtls_operator.api.types import MTLSService

from .memory import Memory, Taken
from .metrics import Metrics
from .ownership import Owner, Ownership, ownership
from .pace import Pace
from .plan import Apply, Create, Delete, Notice, Plan, Probe, Problem, Replace, Restart, Touch, Write
from .ports import (
    AlreadyExistsError,
    Cluster,
    ConflictError,
    Key,
    Pods,
    Ref,
    RefusedError,
    UnavailableError,
    ref_of,
)
from .roll import restarted, roll
from .steps import Step, gather
from .store import Store
from .world import Delivery, Refused, Rolled

WRITE_REFUSED = "WriteRefused"

logger = logging.getLogger(__name__)


class Actor:
    """Carries out plans."""

    def __init__(  # noqa: PLR0913 - one for each thing that it works with
        self,
        store: Store,
        cluster: Cluster,
        pods: Pods,
        clock: Callable[[], datetime],
        metrics: Metrics,
        *,
        pace: Pace,
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._pods = pods
        self._clock = clock
        self._metrics = metrics
        self._pace = pace
        self._memories: dict[Key, Memory] = {}

    def memory(self, key: Key) -> Memory:
        """Return what is known of a service."""
        return self._memories.setdefault(key, Memory())

    def forget(self, key: Key) -> None:
        """Forget a service that is no more."""
        self._memories.pop(key, None)

    async def act(
        self, service: MTLSService, plan: Plan, tell: Callable[[Notice], None]
    ) -> tuple[Problem, ...]:
        """Carry out the plan.

        Args:
            service: whose plan it is.
            plan: what to do.
            tell: takes the notice of each write that was done.

        Returns:
            One problem for each write that the API server refused for good.

        Raises:
            UnavailableError: the outcome of some step is not known; the others were carried out.
        """
        # What keeps a pace comes last, so that nothing else queues behind it.
        writes = sorted(plan.writes, key=_keeps_pace)
        urgent = sum(not _keeps_pace(write) for write in writes)
        steps: list[Step] = [partial(self._write, service, write, tell) for write in writes[:urgent]]
        deliveries = self._memory_of(service).deliveries
        steps += [partial(self._touch, deliveries, touch) for touch in plan.touches]
        steps += [partial(self._probe, deliveries, probe) for probe in plan.probes]
        steps += [partial(self._restart, service, restart, tell) for restart in plan.restarts]
        steps += [partial(self._write, service, write, tell) for write in writes[urgent:]]
        return await gather(steps)

    async def confirm(self, key: Key, refs: Iterable[Ref]) -> None:
        """Read these objects live, before what the watches said of them takes something from somebody.

        Raises:
            ClusterError: nothing is known of some of them.
        """
        await gather(partial(self._confirm, self.memory(key), ref) for ref in refs)

    async def _confirm(self, memory: Memory, ref: Ref) -> None:
        observed = await self._cluster.get(ref)
        if observed is None:
            self._store.drop(ref)
        else:
            self._store.put(ref.resource, observed)
        memory.live.add(ref)

    async def look_again(self, memory: Memory, owner: Owner, ref: Ref) -> None:
        """Read live whether a name is still taken by somebody else than this owner."""
        observed = await self._cluster.get(ref)
        if observed is None:
            memory.taken.pop(ref, None)
            self._store.drop(ref)
        elif ownership(observed, owner) is Ownership.FOREIGN and not _is_authority(ref, owner):
            memory.taken[ref] = Taken(self._clock(), owner)
        else:
            memory.taken.pop(ref, None)
            self._store.put(ref.resource, observed)

    def _memory_of(self, service: MTLSService) -> Memory:
        return self.memory(Key(service.metadata.namespace, service.metadata.name))

    async def _write(
        self, service: MTLSService, write: Write, tell: Callable[[Notice], None]
    ) -> Problem | None:
        ref = write.ref if isinstance(write, Delete) else ref_of(write.resource, write.body)
        caller = None if isinstance(write, Apply) else write.caller
        memory = self._memory_of(service)
        if _keeps_pace(write):
            await self._pace.turn()
        try:
            await self._send(write, memory)
        except (AlreadyExistsError, ConflictError):
            self._count(write, ref, "conflict")
            await self.look_again(memory, caller or service, ref)
        except RefusedError as error:
            self._count(write, ref, "refused")
            logger.warning("write refused", extra={"object": _spell(ref), "reason": str(error)})
            problem = Problem(WRITE_REFUSED, f"{ref.resource.kind} {ref.name}: {error}")
            if caller is None:
                return problem
            memory.refused[ref] = Refused(self._clock(), problem)
        else:
            self._count(write, ref, "written")
            logger.info("wrote", extra={"object": _spell(ref), "verb": type(write).__name__, **_why(write)})
            if isinstance(write, Create | Replace) and write.notice is not None:
                tell(write.notice)
        return None

    def _count(self, write: Write, ref: Ref, result: str) -> None:
        self._metrics.writes.labels(type(write).__name__, ref.resource.kind, result).inc()
        reason = _why(write).get("reason", "").partition(":")[0]
        if reason and result == "written":
            self._metrics.leaves.labels(reason).inc()

    async def _send(self, write: Write, memory: Memory) -> None:
        match write:
            case Create(resource, body):
                self._store.put(resource, await self._cluster.create(resource, body))
            case Replace(resource, body):
                self._store.put(resource, await self._cluster.replace(resource, body))
            case Apply(resource, body):
                applied = await self._cluster.apply(resource, body)
                self._store.put(resource, applied)
                version = applied["metadata"]["resourceVersion"]
                if version == body["metadata"]["resourceVersion"]:
                    memory.unchanged[ref_of(resource, body)] = version
            case Delete(ref, uid, resource_version):
                await self._cluster.delete(ref, uid, resource_version)
                self._store.drop(ref)

    async def _touch(self, deliveries: dict[str, Delivery], touch: Touch) -> None:
        value = f"{touch.digest[:16]}.{touch.attempt}"
        try:
            pod = await self._cluster.annotate(touch.ref, touch.uid, {names.ANNOTATION_DELIVERY: value})
        except (ConflictError, RefusedError) as error:
            logger.info("could not touch pod", extra={"object": _spell(touch.ref), "reason": str(error)})
        else:
            self._store.put(touch.ref.resource, pod)
        known = deliveries.get(touch.uid, Delivery())
        deliveries[touch.uid] = known.touched(touch.digest, touch.attempt, self._clock())

    async def _restart(
        self, service: MTLSService, restart: Restart, tell: Callable[[Notice], None]
    ) -> Problem | None:
        memory, outcome = self._memory_of(service), Rolled(self._clock(), restart.value)
        try:
            rolled_now = await roll(self._cluster, restart)
        except ConflictError:
            return None
        except RefusedError as error:
            name = f"{restart.ref.resource.kind} {restart.ref.name}"
            outcome = Rolled(outcome.at, problem=f"{name} can not be restarted: {error}")
        else:
            if rolled_now:
                logger.info("restarted", extra={"object": _spell(restart.ref), "reason": restart.causes})
                tell(restarted(restart))
        memory.rolled[restart.ref] = outcome
        return None

    async def _probe(self, deliveries: dict[str, Delivery], probe: Probe) -> None:
        try:
            state = await self._pods.state(probe.address)
        except UnavailableError as error:
            outcome = deliveries.get(probe.uid, Delivery()).failed(str(error), self._clock())
        else:
            known, now = deliveries.get(probe.uid, Delivery()), self._clock()
            outcome = known.answered(state, now)
            if known.touched_at is not None and known.served != state.digest == known.wanted:
                self._metrics.deliveries.observe((now - known.touched_at).total_seconds())
        deliveries[probe.uid] = outcome


def _keeps_pace(write: Write) -> bool:
    """Whether there can be many of its kind at once: the Secrets of clients."""
    if not isinstance(write, Create | Replace):
        return False
    return bool(write.body["metadata"].get("labels", {}).get(names.LABEL_COMPONENT) == "client")


def _is_authority(ref: Ref, owner: Owner) -> bool:
    """The name of an authority Secret carries the UID, so it is ours whatever its labels say."""
    return isinstance(owner, MTLSService) and ref.name == names.authority_secret(owner.metadata.uid)


def _spell(ref: Ref) -> str:
    return f"{ref.resource.kind} {ref.namespace}/{ref.name}"


def _why(write: Write) -> dict[str, Any]:
    if isinstance(write, Delete) or (isinstance(write, Replace) and write.records):
        return {}
    reason = (write.body["metadata"].get("annotations") or {}).get(names.ANNOTATION_REASON)
    return {"reason": reason} if reason else {}
