"""Roll a workload of the user's: annotate its pod template, which is all that is ever written there."""

from mtls_operator.api import names

from .plan import Notice, Restart
from .ports import Cluster, Object, RefusedError


async def roll(cluster: Cluster, restart: Restart) -> bool:
    """Roll the workload unless it has been rolled for this already; tell whether it was rolled now.

    Raises:
        RefusedError: there is no such workload, or it may not be rolled.
        ConflictError: it went, or was replaced, meanwhile.
        UnavailableError: the outcome is not known.
    """
    found = await cluster.get(restart.ref)
    if found is None:
        raise RefusedError("there is none; create it, or take it out of restart")
    if _rolled_for(found) == restart.value:
        return False
    annotations = {names.ANNOTATION_RESTARTED_FOR: restart.value}
    await cluster.annotate_template(restart.ref, found["metadata"]["uid"], annotations)
    return True


def restarted(restart: Restart) -> Notice:
    """Tell that a workload was rolled."""
    kind, name = restart.ref.resource.kind, restart.ref.name
    message = f"{kind} {name} was restarted: {', '.join(restart.causes)} changed"
    return Notice("Normal", "Restarted", message, restart.caller)


def _rolled_for(workload: Object) -> str | None:
    metadata = workload["spec"]["template"].get("metadata") or {}
    value: str | None = (metadata.get("annotations") or {}).get(names.ANNOTATION_RESTARTED_FOR)
    return value
