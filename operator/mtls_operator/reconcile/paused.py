"""While a service is paused, nothing is written for it but its status, which still says what is due."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from mtls_operator.api import names
from mtls_operator.pki.validity import rfc3339

from .leaves import LeafReport
from .plan import Plan, Problem
from .world import World

RENEWAL_PAUSED = "RenewalPaused"


def hold(world: World, leaves: Iterable[LeafReport], plan: Plan) -> Plan:
    """Return what is left of a plan: questions, problems, and a warning for each leaf that is due."""
    found = tuple(leaves)
    warnings = tuple(_warning(leaf) for leaf in found if leaf.renewal_time and leaf.renewal_time <= world.now)
    wakes = (moment for leaf in found for moment in _moments(leaf) if moment > world.now)
    return Plan(
        probes=plan.probes,
        problems=(*plan.problems, *warnings),
        wake=min((*wakes, *filter(None, (plan.wake,))), default=None),
    )


def _warning(leaf: LeafReport) -> Problem:
    ends = rfc3339(leaf.not_after) if leaf.not_after else "an unknown time"
    return Problem(
        RENEWAL_PAUSED,
        f"the certificate in Secret {leaf.secret_name} expires at {ends} and is not renewed: remove the "
        f"annotation {names.ANNOTATION_PAUSED}",
    )


def _moments(leaf: LeafReport) -> Iterator[datetime]:
    yield from filter(None, (leaf.renewal_time, leaf.not_after))
