"""Decide about the Deployment and what surrounds it."""

from mtls_operator.api import names
from mtls_operator.desired.drift import differs
from mtls_operator.desired.workload import workload
from mtls_operator.reconcile.ownership import Ownership, is_going, ownership
from mtls_operator.reconcile.plan import Apply, Delete, Plan, name_taken
from mtls_operator.reconcile.ports import (
    CREATE_ONLY,
    DEPLOYMENT,
    SERVICE_ACCOUNT,
    WORKLOAD,
    Object,
    Ref,
    Resource,
)
from mtls_operator.reconcile.world import World

_BY_KIND = {resource.kind: resource for resource in WORKLOAD}


def decide_workload(world: World, restart: str = "") -> Plan:
    """Apply what is missing or altered, delete what is no longer wanted.

    The Deployment waits for its Secret, since pods that can not mount it would only back off, and for its
    ServiceAccount, since pods must never run under one of somebody else's.

    Args:
        world: what there is.
        restart: what the pods must be replaced for, once; empty: nothing.
    """
    name = world.service.metadata.name
    needed = (
        world.secret(names.server_secret(name)),
        world.workload.get((SERVICE_ACCOUNT.kind, name)),
    )
    deployable = all(item and ownership(item, world.service) is Ownership.OURS for item in needed)
    plan = Plan()
    wanted = set()
    for body in workload(world.service, world.settings, restart or _restarted_for(world)):
        resource = _BY_KIND[body["kind"]]
        wanted.add((resource.kind, body["metadata"]["name"]))
        if resource != DEPLOYMENT or deployable:
            plan += _decide_object(world, resource, body)
    return plan + _decide_obsolete(world, wanted)


def _restarted_for(world: World) -> str:
    """Return what the pods were last replaced for: without it, they would be once more."""
    deployment = world.deployment or {}
    template = (deployment.get("spec") or {}).get("template") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_RESTARTED_FOR, ""))


def _decide_object(world: World, resource: Resource, body: Object) -> Plan:
    name = body["metadata"]["name"]
    ref = Ref(resource, world.service.metadata.namespace, name)
    observed = world.workload.get((resource.kind, name))
    if ref in world.taken or (observed and ownership(observed, world.service) is Ownership.FOREIGN):
        return name_taken(ref, world.now)
    if observed is not None and (not differs(body, observed) or _is_normalised(world, ref, body, observed)):
        return Plan()
    metadata = {**body["metadata"], **_precondition(observed)}
    return Plan(writes=(Apply(resource, {**body, "metadata": metadata}),))


def _is_normalised(world: World, ref: Ref, body: Object, observed: Object) -> bool:
    """Whether it only looks different: the API server spells it otherwise, and another apply is in vain."""
    recorded = [
        (item["metadata"].get("annotations") or {}).get(names.ANNOTATION_DESIRED) for item in (body, observed)
    ]
    in_vain = world.unchanged.get(ref) == observed["metadata"]["resourceVersion"]
    return in_vain and recorded[0] == recorded[1]


def _precondition(observed: Object | None) -> Object:
    """Create only what was not observed; else apply to exactly that, not to a successor of its name."""
    if observed is None:
        return {"resourceVersion": CREATE_ONLY}
    return {field: observed["metadata"][field] for field in ("resourceVersion", "uid")}


def _decide_obsolete(world: World, wanted: set[tuple[str, str]]) -> Plan:
    writes = []
    for (kind, name), observed in world.workload.items():
        ours = ownership(observed, world.service) is Ownership.OURS
        if (kind, name) in wanted or not ours or is_going(observed):
            continue
        metadata = observed["metadata"]
        ref = Ref(_BY_KIND[kind], metadata["namespace"], name)
        writes.append(Delete(ref, metadata["uid"], metadata["resourceVersion"]))
    return Plan(writes=tuple(writes))
