"""What must be read live before it costs somebody an identity or a Secret.

Watches lag. What they say is good enough to give, since it can be given again; but a Secret that is deleted
or taken over, and an identity that is revoked, interrupt whoever uses them.
"""

from collections.abc import Iterator

from mtls_operator.api import names
from mtls_operator.reconcile.ownership import Ownership, ownership
from mtls_operator.reconcile.ports import MTLSCLIENT, MTLSSERVICE, Ref
from mtls_operator.reconcile.world import World

from .callers import callers
from .consent import QUOTA_EXCEEDED, client_ref, is_watched, obsolete, own_secrets
from .revocation import stored_policy


def unconfirmed(world: World) -> frozenset[Ref]:
    """Return what the next steps would go by although it was not read live in this pass."""
    if world.paused:
        return frozenset()
    gone = set(_gone(world))
    suspects = {client_ref(client) for client, _ in obsolete(world)}
    suspects |= set(_vanished(world, gone))
    if not (suspects or gone or _takes_over(world)):
        return frozenset()
    service = Ref(MTLSSERVICE, world.service.metadata.namespace, world.service.metadata.name)
    return frozenset({service, *suspects, *_rivals(world, suspects)}) - world.live


def _takes_over(world: World) -> bool:
    """Whether what is left of a former service is needed: a name has one bearer, so ours must be the one."""
    needed = (world.secrets.get(ref) for ref in own_secrets(world.service))
    return any(secret and ownership(secret, world.service) is Ownership.ABANDONED for secret in needed)


def _gone(world: World) -> Iterator[str]:
    """Return the identities that the server was told to serve, and shall serve no more."""
    policy = stored_policy(world)
    if policy is not None:
        yield from policy.clients.keys() - {caller.uri for caller in callers(world)}


def _vanished(world: World, gone: set[str]) -> Iterator[Ref]:
    """Return the MTLSClients of these identities that are not there, or not admitted."""
    admitted = {client_ref(each.client) for each in world.admission.admitted}
    for client in filter(None, map(names.mtlsclient_of, gone)):
        ref = Ref(MTLSCLIENT, *client)
        if ref not in admitted and is_watched(world.settings, ref.namespace):
            yield ref


def _rivals(world: World, suspects: set[Ref]) -> Iterator[Ref]:
    """Return those who take the places that a suspect had."""
    problems = (world.admission.problems.get(suspect) for suspect in suspects)
    if any(problem and problem.reason == QUOTA_EXCEEDED for problem in problems):
        yield from (client_ref(each.client) for each in world.admission.admitted)
