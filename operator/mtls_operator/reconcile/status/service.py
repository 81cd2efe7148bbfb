"""Say what is: the status of a service, from what a pass found."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from mtls_operator.api.types import Condition
from mtls_operator.desired.keyring import ROLES
from mtls_operator.desired.metadata import selector
from mtls_operator.pki.bundle import fingerprint
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.validity import rfc3339
from mtls_operator.reconcile.decide.leaves import LeafReport
from mtls_operator.reconcile.decide.service import Report
from mtls_operator.reconcile.plan import Notice, Problem
from mtls_operator.reconcile.ports import Object
from mtls_operator.reconcile.world import World

from .aspects import MAX_WARNINGS, aspects, clients_total
from .conditions import Aspect, conditions

MAX_CLIENTS = 50
"""Clients listed; a longer list would cost the API server dearly at each write."""
MAX_VERSION = 64
"""A pod is not trusted to say no more than the schema of status takes."""


def first_sight(world: World) -> Object:
    """Return the status that claims a service for this instance before anything is done for it."""
    types = (
        *("Ready", "Reconciling", "Stalled", "CertificatesIssued", "TrustPropagated", "AuthorityRotating"),
        "Available",
    )
    unknown = [Aspect(kind, "Unknown", "FirstSight", "not looked at yet") for kind in types]
    return {"instance": world.settings.identity, "conditions": _conditions(world, unknown)}


def build_status(world: World, report: Report, problems: tuple[Problem, ...]) -> Object:
    """Return the whole status; equal worlds have equal statuses, so nothing is written twice."""
    clients = [leaf for leaf in report.leaves if leaf.client is not None]
    server = next((leaf for leaf in report.leaves if leaf.client is None), None)
    expiries = [leaf.not_after for leaf in report.leaves if leaf.not_after]
    deployment = world.deployment
    versions = sorted({pod.version for pod in report.pods if pod.version})
    status = {
        "observedGeneration": world.service.metadata.generation,
        "conditions": _conditions(world, aspects(world, report, problems)),
        "serverCertificate": _server_certificate(server),
        "clients": [_client(leaf) for leaf in sorted(clients, key=_urgency)[:MAX_CLIENTS]],
        "clientsTotal": clients_total(report),
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


def _conditions(world: World, said: Iterable[Aspect]) -> list[Object]:
    return conditions(said, _known_conditions(world), world.service.metadata.generation, world.now)


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
