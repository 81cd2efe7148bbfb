"""Decide which workloads are rolled, for programs that read their files once.

A workload is rolled when the leaf or the trust anchors in a Secret have changed. That it was, is recorded on
the Secret, so that nobody has to look at the workload before the next change.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mtls_operator.api import names
from mtls_operator.api.types import Workload
from mtls_server.contract import CERTIFICATE, TRUST_ANCHORS

from .plan import Plan, Problem, Replace, Restart
from .ports import DAEMON_SET, DEPLOYMENT, SECRET, STATEFUL_SET, Object, Ref
from .secrets import decode_data
from .wanted import WantedLeaf
from .world import World

RESTART_FAILED = "RestartFailed"
RETRY = timedelta(seconds=30)
"""Workloads of others are not watched: one that could not be rolled is looked at again this often."""
_DIGITS = 16
_BY_KIND = {resource.kind: resource for resource in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)}


def restarted_at_first(
    restart: Collection[Workload], certificate: bytes, anchors: bytes
) -> Mapping[str, str]:
    """Return the annotations of a Secret that there was none of before: nothing can have read an older one.

    Args:
        restart: workloads that read it once.
        certificate: chain as PEM.
        anchors: trust anchors as PEM.
    """
    if not restart:
        return {}
    record = _record(_digest(certificate, anchors), (f"{item.kind}/{item.name}" for item in restart))
    return {names.ANNOTATION_RESTARTED_FOR: record}


@dataclass(frozen=True, slots=True)
class _Naming:
    """A Secret that is as it should be, and the workloads that are rolled for it."""

    observed: Object
    workloads: tuple[Ref, ...]

    @property
    def name(self) -> str:
        return str(self.observed["metadata"]["name"])

    @property
    def contents(self) -> str:
        data = decode_data(self.observed)
        return _digest(data[CERTIFICATE], data[TRUST_ANCHORS])

    @property
    def done(self) -> list[str]:
        """Workloads that were rolled for these contents, as recorded."""
        annotations: Mapping[str, str] = self.observed["metadata"].get("annotations") or {}
        contents, *workloads = annotations.get(names.ANNOTATION_RESTARTED_FOR, "").split() or [""]
        return workloads if contents == self.contents else []

    @property
    def due(self) -> list[Ref]:
        done = self.done
        return [ref for ref in self.workloads if _spell(ref) not in done]


def decide_restarts(world: World, wanted: Iterable[WantedLeaf], settled: Collection[Ref]) -> Plan:
    """Roll the workloads of each Secret that has changed since they were, then record that they were.

    Args:
        world: what is stored, and what is known of workloads.
        wanted: all leaves.
        settled: their Secrets that are as they should be; a workload waits until all of its are.
    """
    restarting = [leaf for leaf in wanted if leaf.restart]
    namings = [_Naming(world.secrets[leaf.ref], _refs(leaf)) for leaf in restarting if leaf.ref in settled]
    waiting = {ref for leaf in restarting if leaf.ref not in settled for ref in _refs(leaf)}
    causes: dict[Ref, list[str]] = {}
    for naming in namings:
        for ref in naming.due:
            causes.setdefault(ref, []).append(naming.name)
    restarts = {
        ref: Restart(ref, _value(namings, ref), tuple(names_))
        for ref, names_ in causes.items()
        if ref not in waiting
    }
    plan = sum((_decide_workload(world, restart) for restart in restarts.values()), Plan())
    for naming in namings:
        rolled = [ref for ref in naming.due if ref in restarts and _is_rolled(world, restarts[ref])]
        if rolled:
            plan += Plan(writes=(_note(naming, rolled),))
    return plan


def _refs(leaf: WantedLeaf) -> tuple[Ref, ...]:
    return tuple(Ref(_BY_KIND[item.kind], leaf.ref.namespace, item.name) for item in leaf.restart)


def _value(namings: Iterable[_Naming], workload: Ref) -> str:
    """Return what a workload is rolled for: all of its Secrets, so that it is rolled once for several."""
    of_it = sorted(f"{each.name} {each.contents}" for each in namings if workload in each.workloads)
    return _digest(*(text.encode() for text in of_it))


def _decide_workload(world: World, restart: Restart) -> Plan:
    if _is_rolled(world, restart):
        return Plan()
    known = world.rolled.get(restart.ref)
    if known is None or not known.problem:
        return Plan(restarts=(restart,))
    again = known.at + RETRY
    step = Plan(wake=again) if known.at <= world.now < again else Plan(restarts=(restart,))
    return step + Plan(problems=(Problem(RESTART_FAILED, known.problem),))


def _is_rolled(world: World, restart: Restart) -> bool:
    known = world.rolled.get(restart.ref)
    return known is not None and known.value == restart.value


def _note(naming: _Naming, rolled: Iterable[Ref]) -> Replace:
    metadata = naming.observed["metadata"]
    record = _record(naming.contents, (*naming.done, *map(_spell, rolled)))
    annotations = (metadata.get("annotations") or {}) | {names.ANNOTATION_RESTARTED_FOR: record}
    body = {**naming.observed, "metadata": metadata | {"annotations": annotations}}
    return Replace(SECRET, body, records=True)


def _record(contents: str, workloads: Iterable[str]) -> str:
    return " ".join([contents, *sorted(workloads)])


def _spell(workload: Ref) -> str:
    return f"{workload.resource.kind}/{workload.name}"


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:_DIGITS]
