"""In what order the steps of a plan are taken, where it matters."""

from dataclasses import replace

from mtls_operator.api import names
from mtls_operator.reconcile.plan import Delete, Plan, Write
from mtls_operator.reconcile.ports import SECRET, Ref, ref_of
from mtls_operator.reconcile.world import World


def server_first(world: World, plan: Plan) -> Plan:
    """Take a Secret from nobody before the server knows to refuse what was in it."""
    metadata = world.service.metadata
    server = Ref(SECRET, metadata.namespace, names.server_secret(metadata.name))
    updates = (write for write in plan.writes if not isinstance(write, Delete))
    if all(ref_of(write.resource, write.body) != server for write in updates):
        return plan
    return replace(plan, writes=tuple(write for write in plan.writes if not _takes_a_secret(write)))


def _takes_a_secret(write: Write) -> bool:
    return isinstance(write, Delete) and write.ref.resource == SECRET
