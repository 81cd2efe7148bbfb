"""Decide which workloads are rolled, for programs that read their files once.

A workload is rolled when the leaf or the trust anchors in a Secret have changed. That it was, is recorded on
the Secret, so that nobody has to look at the workload before the next change.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from mtls_operator.api import names
from mtls_operator.api.types import Workload
from mtls_operator.pki.validity import rfc3339
from mtls_operator.reconcile.plan import Plan, Problem, Replace, Restart
from mtls_operator.reconcile.ports import DAEMON_SET, DEPLOYMENT, SECRET, STATEFUL_SET, Object, Ref
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import World
from mtls_server.contract import CERTIFICATE, TRUST_ANCHORS

from .wanted import WantedLeaf

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
    workloads = tuple(f"{item.kind}/{item.name}" for item in restart)
    return {names.ANNOTATION_RESTARTED_FOR: str(_Record(_digest(certificate), _digest(anchors), workloads))}


def awaits_restart(world: World, secret: Object, restart: Collection[Workload]) -> bool:
    """Whether programs that read a Secret once are still to be restarted for its trust anchors.

    Nobody waits for one that can not be restarted.

    Args:
        world: what is known of workloads.
        secret: as it is stored.
        restart: workloads that read it once.
    """
    if not restart:
        return False
    naming = _Naming(secret, _refs(restart, secret["metadata"]["namespace"]))
    known = (world.rolled.get(ref) for ref in naming.due)
    return naming.recorded.anchors != naming.contents.anchors and any(
        rolled is None or not rolled.problem for rolled in known
    )


class _Record(NamedTuple):
    """What a Secret held when workloads were rolled for it; written as words."""

    certificate: str = ""
    anchors: str = ""
    workloads: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.certificate, self.anchors, *sorted(self.workloads)))

    @classmethod
    def of(cls, secret: Object) -> "_Record":
        """Read it; whoever alters it causes a restart."""
        annotations: Mapping[str, str] = secret["metadata"].get("annotations") or {}
        words = annotations.get(names.ANNOTATION_RESTARTED_FOR, "").split()
        return cls(words[0], words[1], tuple(words[2:])) if len(words) > 1 else cls()


@dataclass(frozen=True, slots=True)
class _Naming:
    """A Secret, and the workloads that are rolled for it."""

    observed: Object
    workloads: tuple[Ref, ...]

    @property
    def name(self) -> str:
        return str(self.observed["metadata"]["name"])

    @property
    def contents(self) -> _Record:
        data = decode_data(self.observed)
        return _Record(_digest(data.get(CERTIFICATE, b"")), _digest(data.get(TRUST_ANCHORS, b"")))

    @property
    def recorded(self) -> _Record:
        return _Record.of(self.observed)

    @property
    def done(self) -> tuple[str, ...]:
        """Workloads that were rolled for these contents."""
        recorded = self.recorded
        return recorded.workloads if recorded[:2] == self.contents[:2] else ()

    @property
    def due(self) -> list[Ref]:
        done = self.done
        return [ref for ref in self.workloads if _spell(ref) not in done]


def decide_restarts(world: World, wanted: Iterable[WantedLeaf], settled: Mapping[Ref, bool]) -> Plan:
    """Roll the workloads of each Secret that has changed since they were, then record that they were.

    Args:
        world: what is stored, and what is known of workloads.
        wanted: all leaves.
        settled: Secret to whether it is as it should be, or will be soon; a workload waits until all of its
            are. Those that can not be are left out.
    """
    workloads = {leaf.ref: _refs(leaf.restart, leaf.ref.namespace) for leaf in wanted if leaf.restart}
    namings = [_Naming(world.secrets[ref], named) for ref, named in workloads.items() if settled.get(ref)]
    waiting = {
        workload for ref, named in workloads.items() if not settled.get(ref, True) for workload in named
    }
    causes: dict[Ref, list[str]] = {}
    for naming in namings:
        for ref in naming.due:
            causes.setdefault(ref, []).append(naming.name)
    restarts = {
        ref: Restart(ref, _value(namings, ref), tuple(secrets))
        for ref, secrets in causes.items()
        if ref not in waiting
    }
    plan = sum((_decide_workload(world, restart) for restart in restarts.values()), Plan())
    for naming in namings:
        rolled = [ref for ref in naming.due if ref in restarts and _is_rolled(world, restarts[ref])]
        if rolled:
            plan += Plan(writes=(_note(naming, rolled, world.now),))
    return plan


def _refs(restart: Iterable[Workload], namespace: str) -> tuple[Ref, ...]:
    return tuple(Ref(_BY_KIND[item.kind], namespace, item.name) for item in restart)


def _value(namings: Iterable[_Naming], workload: Ref) -> str:
    """Return what a workload is rolled for: all of its Secrets, so that it is rolled once for several."""
    of_it = sorted(
        " ".join((each.name, *each.contents[:2])) for each in namings if workload in each.workloads
    )
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


def _note(naming: _Naming, rolled: Iterable[Ref], now: datetime) -> Replace:
    """Record what was rolled; those who read a Secret once have its trust anchors only from then on."""
    metadata, contents = naming.observed["metadata"], naming.contents
    record = contents._replace(workloads=(*naming.done, *map(_spell, rolled)))
    annotations = (metadata.get("annotations") or {}) | {names.ANNOTATION_RESTARTED_FOR: str(record)}
    if naming.recorded.anchors != contents.anchors:
        annotations[names.ANNOTATION_TRUST_SINCE] = rfc3339(now)
    body = {**naming.observed, "metadata": metadata | {"annotations": annotations}}
    return Replace(SECRET, body, records=True)


def _spell(workload: Ref) -> str:
    return f"{workload.resource.kind}/{workload.name}"


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:_DIGITS]
