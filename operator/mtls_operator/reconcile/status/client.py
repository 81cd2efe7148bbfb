"""Say to MTLSClients what became of them: status and Event of each, from a pass over their service."""

from collections.abc import Iterator
from typing import NamedTuple

from mtls_operator.api.types import MTLSClient
from mtls_operator.reconcile.decide.causes import MISSING
from mtls_operator.reconcile.decide.consent import client_ref, is_watched
from mtls_operator.reconcile.decide.leaves import LeafReport
from mtls_operator.reconcile.decide.service import Report
from mtls_operator.reconcile.plan import Notice, Problem
from mtls_operator.reconcile.ports import Object
from mtls_operator.reconcile.world import World

from .conditions import Aspect, conditions
from .service import dates


class Answer(NamedTuple):
    """What one MTLSClient is told."""

    client: MTLSClient
    status: Object
    notice: Notice | None
    """The Event that a problem deserves when it is new, or reads differently than before."""


def answers(world: World, report: Report) -> Iterator[Answer]:
    """Return what to tell each MTLSClient of which something is known."""
    leaves = {leaf.caller: leaf for leaf in report.leaves if leaf.caller and not _is_on_its_way(leaf)}
    for client in world.callers:
        ref = client_ref(client)
        leaf = leaves.get(ref)
        problem = report.admission.problems.get(ref) or (leaf.problem if leaf else None)
        known = leaf or (problem and not _is_told(client, problem))
        if known and not client.metadata.deletion_timestamp and _is_ours(world, client):
            yield Answer(client, _status(world, client, problem, leaf), _notice(client, problem))


def _is_on_its_way(leaf: LeafReport) -> bool:
    """Whether the next pass issues it: many at once are issued a hundred a pass."""
    return leaf.problem is not None and leaf.problem.reason == MISSING.reason


def _is_told(client: MTLSClient, problem: Problem) -> bool:
    """Whether all there is to say was said already: there may be many whom nobody admits."""
    said = client.status.conditions if client.status else ()
    told = (problem.reason, problem.message, client.metadata.generation)
    return any((each.reason, each.message, each.observed_generation) == told for each in said)


def _is_ours(world: World, client: MTLSClient) -> bool:
    """Whether to answer: where the service is out of sight, another installation may care for both."""
    seen = is_watched(world.settings, world.service.metadata.namespace)
    return seen or _instance(client) in {None, world.settings.identity}


def _status(world: World, client: MTLSClient, problem: Problem | None, leaf: LeafReport | None) -> Object:
    generation = client.metadata.generation
    known = client.status.conditions if client.status else ()
    return {
        "observedGeneration": generation,
        "conditions": conditions([_ready(client, problem)], known, generation, world.now),
        **_certificate(leaf),
        "instance": world.settings.identity if leaf else _instance(client) or world.settings.identity,
    }


def _ready(client: MTLSClient, problem: Problem | None) -> Aspect:
    if problem is not None:
        return Aspect("Ready", "False", problem.reason, problem.message)
    return Aspect("Ready", "True", "Issued", f"Secret {client.spec.secret_name} holds a certificate")


def _certificate(leaf: LeafReport | None) -> Object:
    if leaf is None or not leaf.serial:
        return {}
    return {"secretName": leaf.secret_name, **dates(leaf), "lastReason": leaf.reason}


def _notice(client: MTLSClient, problem: Problem | None) -> Notice | None:
    known = client.status.conditions if client.status else ()
    if problem is None or any(condition.message == problem.message for condition in known):
        return None
    return Notice("Warning", problem.reason, problem.message, client_ref(client))


def _instance(client: MTLSClient) -> str | None:
    """Return who answered last: where there is no service to be claimed, several installations may."""
    return client.status.instance if client.status else None
