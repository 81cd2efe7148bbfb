"""What is said of a service, as conditions without their dates."""

from collections.abc import Iterator

from mtls_operator.api import names
from mtls_operator.policies.rotation import PHASES
from mtls_operator.reconcile.decide.service import Report
from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.world import World

from .conditions import Aspect

MAX_WARNINGS = 3
"""Warnings told at a time."""


def aspects(world: World, report: Report, problems: tuple[Problem, ...]) -> Iterator[Aspect]:
    """Return the conditions in the order in which they are shown."""
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
    message = "; ".join([f"server and {ready} of {clients_total(report)} clients", *warnings])
    return Aspect("CertificatesIssued", "True", "Issued", message)


def clients_total(report: Report) -> int:
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
    deployment = world.deployment
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
    deployment = world.deployment
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
