"""Say what is: the status of a service, from what a pass found."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from mtls_operator.api import names
from mtls_operator.api.types import Condition
from mtls_operator.desired.keyring import ROLES
from mtls_operator.desired.metadata import selector
from mtls_operator.pki.bundle import fingerprint
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.validity import rfc3339
from mtls_operator.policies.rotation import PHASES
from mtls_operator.reconcile.decide.leaves import LeafReport
from mtls_operator.reconcile.decide.service import Report
from mtls_operator.reconcile.plan import Notice, Problem
from mtls_operator.reconcile.ports import DEPLOYMENT, Object
from mtls_operator.reconcile.world import World

MAX_CLIENTS = 50
"""Clients listed; a longer list would cost the API server dearly at each write."""
MAX_WARNINGS = 3
"""Warnings told at a time."""
MAX_VERSION = 64
"""A pod is not trusted to say no more than the schema of status takes."""


class Aspect(NamedTuple):
    """A condition without its dates."""

    type: str
    status: str
    reason: str
    message: str


def first_sight(world: World) -> Object:
    """Return the status that claims a service for this instance before anything is done for it."""
    types = (
        *("Ready", "Reconciling", "Stalled", "CertificatesIssued", "TrustPropagated", "AuthorityRotating"),
        "Available",
    )
    aspects = [Aspect(kind, "Unknown", "FirstSight", "not looked at yet") for kind in types]
    return {"instance": world.settings.identity, "conditions": _conditions(world, aspects)}


def build_status(world: World, report: Report, problems: tuple[Problem, ...]) -> Object:
    """Return the whole status; equal worlds have equal statuses, so nothing is written twice."""
    clients = [leaf for leaf in report.leaves if leaf.client is not None]
    server = next((leaf for leaf in report.leaves if leaf.client is None), None)
    expiries = [leaf.not_after for leaf in report.leaves if leaf.not_after]
    deployment = _deployment(world)
    versions = sorted({pod.version for pod in report.pods if pod.version})
    status = {
        "observedGeneration": world.service.metadata.generation,
        "conditions": _conditions(world, list(_aspects(world, report, problems))),
        "serverCertificate": _server_certificate(server),
        "clients": [_client(leaf) for leaf in sorted(clients, key=_urgency)[:MAX_CLIENTS]],
        "clientsTotal": _total(report),
        "clientsReady": sum(1 for leaf in clients if not leaf.problem),
        "nextExpiry": rfc3339(min(expiries)) if expiries else None,
        "authorities": _authorities(report),
        "replicas": (deployment.get("status") or {}).get("replicas", 0) if deployment else 0,
        "selector": ",".join(f"{key}={value}" for key, value in sorted(selector(world.service).items())),
        "serverVersion": versions[0][:MAX_VERSION] if versions else None,
        "instance": world.settings.identity,
    }
    return {field: value for field, value in status.items() if value is not None}


def notices(world: World, report: Report, status: Object) -> Iterator[Notice]:
    """Return the Events that problems and warnings deserve when they are new, or read differently."""
    known = {condition.type: condition for condition in _known_conditions(world)}
    stalled, issued = known.get("Stalled"), known.get("CertificatesIssued")
    for condition in status["conditions"]:
        news = stalled is None or stalled.status != "True" or stalled.message != condition["message"]
        if condition["type"] == "Stalled" and condition["status"] == "True" and news:
            yield Notice("Warning", condition["reason"], condition["message"])
    for warning in report.warnings[:MAX_WARNINGS]:
        if issued is None or warning.message not in issued.message:
            yield Notice("Warning", warning.reason, warning.message)


def _aspects(world: World, report: Report, problems: tuple[Problem, ...]) -> Iterator[Aspect]:
    issued, available = _certificates_issued(report, problems), _available(world)
    stalled = _stalled(problems)
    yield _ready(issued, available, stalled)
    yield _paused() if report.paused else _reconciling(world)
    yield stalled
    yield issued
    yield _trust_propagated(world, report)
    yield _authority_rotating(report)
    yield available


def _certificates_issued(report: Report, problems: tuple[Problem, ...]) -> Aspect:
    failing = [leaf.problem for leaf in report.leaves if leaf.problem and not leaf.caller]
    if not report.leaves:
        why = problems[0] if problems else Problem("Pending", "the authorities are being made")
        return Aspect("CertificatesIssued", "False", why.reason, why.message)
    if failing:
        message = "; ".join(dict.fromkeys(problem.message for problem in failing[:3]))
        return Aspect("CertificatesIssued", "False", failing[0].reason, message)
    ready = sum(1 for leaf in report.leaves if leaf.client is not None and not leaf.problem)
    warnings = [warning.message for warning in report.warnings[:MAX_WARNINGS]]
    message = "; ".join([f"server and {ready} of {_total(report)} clients", *warnings])
    return Aspect("CertificatesIssued", "True", "Issued", message)


def _total(report: Report) -> int:
    """Count the clients of the spec, and the MTLSClients whose namespace it consents to."""
    own = sum(1 for leaf in report.leaves if leaf.client is not None and not leaf.caller)
    return own + report.admission.total


def _trust_propagated(world: World, report: Report) -> Aspect:
    if world.service.spec.certificates_only:
        return Aspect("TrustPropagated", "True", "CertificatesOnly", "backend none has no pods of ours")
    lagging = [pod for pod in report.pods if not pod.acknowledged]
    message = f"{len(report.pods) - len(lagging)}/{len(report.pods)} pods"
    if lagging:
        details = "; ".join(pod.detail for pod in lagging[:3])
        return Aspect("TrustPropagated", "False", "PodsLagging", f"{message}; {details}")
    return Aspect("TrustPropagated", "True", "Acknowledged", message)


def _authority_rotating(report: Report) -> Aspect:
    """Tell of rotation, which is no reason not to be ready."""
    if report.paused:
        return Aspect("AuthorityRotating", "False", "Paused", "")
    rotating = [rotation for rotation in report.rotations if rotation.phase != "Idle"]
    if not rotating:
        return Aspect("AuthorityRotating", "False", "Idle", "")
    reason = min((rotation.phase for rotation in rotating), key=PHASES.index)
    message = "; ".join(f"{each.generations.role}: {each.message or each.phase}" for each in rotating)
    return Aspect("AuthorityRotating", "True", reason, message)


def _available(world: World) -> Aspect:
    if world.service.spec.certificates_only:
        return Aspect("Available", "True", "CertificatesOnly", "backend none has no Deployment")
    deployment = _deployment(world)
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or ()
    for condition in conditions:
        if condition["type"] == "Available":
            status = "True" if condition["status"] == "True" else "False"
            return Aspect("Available", status, condition["reason"], condition.get("message", ""))
    return Aspect("Available", "False", "Pending", "the Deployment has not reported yet")


def _paused() -> Aspect:
    message = f"nothing is written while the annotation {names.ANNOTATION_PAUSED} is true"
    return Aspect("Reconciling", "False", "Paused", message)


def _reconciling(world: World) -> Aspect:
    if world.service.spec.certificates_only:
        return Aspect("Reconciling", "False", "UpToDate", "")
    deployment = _deployment(world)
    if deployment is None:
        return Aspect("Reconciling", "True", "Deploying", "the Deployment is being made")
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    if observed and updated >= wanted and total <= updated and available >= wanted:
        return Aspect("Reconciling", "False", "UpToDate", "")
    message = f"of {wanted} pods {updated} are of the newest template and {available} are available"
    return Aspect("Reconciling", "True", "RollingOut", message)


def _stalled(problems: tuple[Problem, ...]) -> Aspect:
    if not problems:
        return Aspect("Stalled", "False", "NoProblem", "")
    message = "; ".join(dict.fromkeys(problem.message for problem in problems[:3]))
    return Aspect("Stalled", "True", problems[0].reason, message)


def _ready(issued: Aspect, available: Aspect, stalled: Aspect) -> Aspect:
    if stalled.status == "True":
        return Aspect("Ready", "False", stalled.reason, stalled.message)
    for aspect in (issued, available):
        if aspect.status != "True":
            return Aspect("Ready", "False", aspect.reason, aspect.message)
    return Aspect("Ready", "True", "Ready", issued.message)


def _conditions(world: World, aspects: Iterable[Aspect]) -> list[Object]:
    return conditions(aspects, _known_conditions(world), world.service.metadata.generation, world.now)


def conditions(
    aspects: Iterable[Aspect], known: Iterable[Condition], generation: int, now: datetime
) -> list[Object]:
    """Date the aspects; lastTransitionTime moves only when the status of a condition does.

    Args:
        aspects: what to say.
        known: the conditions that were said before.
        generation: of the spec that they speak of.
        now: the time.
    """
    former = {condition.type: condition for condition in known}
    dated = []
    for aspect in aspects:
        before = former.get(aspect.type)
        moved = before is None or before.status != aspect.status
        since = rfc3339(now) if before is None or moved else before.last_transition_time
        dated.append({**aspect._asdict(), "observedGeneration": generation, "lastTransitionTime": since})
    return dated


def _known_conditions(world: World) -> tuple[Condition, ...]:
    return world.service.status.conditions if world.service.status else ()


def _server_certificate(leaf: LeafReport | None) -> Object | None:
    if leaf is None or not leaf.serial:
        return None
    return {"secretName": leaf.secret_name, **dates(leaf), "lastReason": leaf.reason}


def _client(leaf: LeafReport) -> Object:
    name = {"name": leaf.client, "secretName": leaf.secret_name, "ready": not leaf.problem}
    if leaf.problem:
        return {**name, "reason": leaf.problem.reason, "message": leaf.problem.message}
    shown = dates(leaf)
    del shown["notBefore"]
    return {**name, **shown, "reason": leaf.reason.partition(":")[0]}


def dates(leaf: LeafReport) -> Object:
    """Say serial and dates of the leaf that is stored."""
    moments = {"notBefore": leaf.not_before, "notAfter": leaf.not_after, "renewalTime": leaf.renewal_time}
    return {"serial": leaf.serial, **{field: rfc3339(moment) for field, moment in moments.items() if moment}}


def _urgency(leaf: LeafReport) -> tuple[bool, str, str]:
    expiry: datetime | None = leaf.not_after
    return not leaf.problem, rfc3339(expiry) if expiry else "", leaf.secret_name


def _authorities(report: Report) -> Object | None:
    if report.keyring is None:
        return None
    return {role: _authority(report.keyring.of(role)) for role in ROLES}


def _authority(generations: Generations) -> Object:
    anchors = {"anchors": [fingerprint(anchor) for anchor in generations.anchors]}
    newest = generations.signing or generations.next
    if newest is None:
        return anchors
    certificate = newest.certificate
    return {
        "fingerprint": fingerprint(certificate),
        "notBefore": rfc3339(certificate.not_valid_before_utc),
        "notAfter": rfc3339(certificate.not_valid_after_utc),
        **anchors,
    }


def _deployment(world: World) -> Object | None:
    return world.workload.get((DEPLOYMENT.kind, world.service.metadata.name))
