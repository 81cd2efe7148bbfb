"""Conditions: what is said of an object, and since when (KEP-1623)."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from mtls_operator.api.types import Condition
from mtls_operator.pki.validity import rfc3339
from mtls_operator.reconcile.ports import Object


class Aspect(NamedTuple):
    """A condition without its dates."""

    type: str
    status: str
    reason: str
    message: str


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
