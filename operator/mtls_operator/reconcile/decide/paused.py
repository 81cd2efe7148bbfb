"""While a service is paused, nothing is written for it but its status, which still says what is due."""

from collections.abc import Iterable, Iterator

from mtls_operator.api import names
from mtls_operator.pki.validity import rfc3339
from mtls_operator.reconcile.plan import Plan, Problem
from mtls_operator.reconcile.world import World

from .leaves import LeafReport

RENEWAL_PAUSED = "RenewalPaused"


def hold(world: World, leaves: Iterable[LeafReport], plan: Plan) -> Plan:
    """Return what is left of a plan: questions, and when something new is to be told."""
    moments = (moment for leaf in leaves for moment in (leaf.renewal_time, leaf.not_after))
    wakes = (moment for moment in moments if moment is not None and moment > world.now)
    return Plan(
        probes=plan.probes,
        problems=plan.problems,
        wake=min((*wakes, *filter(None, (plan.wake,))), default=None),
    )


def overdue(world: World, leaves: Iterable[LeafReport]) -> Iterator[Problem]:
    """Warn of the certificate that ends first of those that are due."""
    ends = [
        (leaf.not_after, _name(leaf))
        for leaf in leaves
        if leaf.not_after and leaf.renewal_time and leaf.renewal_time <= world.now
    ]
    if ends:
        moment, name = min(ends)
        yield Problem(
            RENEWAL_PAUSED,
            f"the certificate in {name} expires at {rfc3339(moment)} and is not renewed: remove the "
            f"annotation {names.ANNOTATION_PAUSED}",
        )


def _name(leaf: LeafReport) -> str:
    name = f"Secret {leaf.secret_name}"
    return f"{name} of namespace {leaf.caller.namespace}" if leaf.caller else name
