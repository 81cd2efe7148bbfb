"""The policy that the server is given: as the spec asks for it, or as before where that is too large."""

from typing import Final, NamedTuple

import msgspec

from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.world import World
from mtls_server.contract import Policy, encode_policy

from .revocation import stored_policy

POLICY_TOO_LARGE: Final = "PolicyTooLarge"
MOST_KIB: Final = 448
"""Of clients, rules and routes. A Secret holds 1 MiB; 256 KiB of it are for CAs, the rest for revocations."""
_REMEDIES: Final = {
    "clients": "give clients fewer or shorter roles, or admit fewer of them",
    "rules": "write fewer authorization.rules, with fewer or shorter roles",
    "routes": "write fewer authorization.routes, with shorter paths or roles",
}


class ServedPolicy(NamedTuple):
    """What is stored for the server, and why it is not what the spec asks for."""

    document: bytes
    problem: Problem | None = None


def served_policy(world: World, wanted: Policy) -> ServedPolicy:
    """Return the wanted policy; if it is too large, the last good one without those who lost their place.

    Revocations are not counted and always get through, and so do names and CAs, lest rotation stand still.
    """
    sizes = {part: len(msgspec.json.encode(getattr(wanted, part))) for part in _REMEDIES}
    kib = -(-sum(sizes.values()) // 1024)
    if kib <= MOST_KIB:
        return ServedPolicy(encode_policy(wanted))
    remedy = _REMEDIES[max(sizes, key=sizes.__getitem__)]
    message = f"clients, rules and routes are {kib} KiB and must be at most {MOST_KIB} KiB: {remedy}"
    return ServedPolicy(encode_policy(_last_good(world, wanted)), Problem(POLICY_TOO_LARGE, message))


def _last_good(world: World, wanted: Policy) -> Policy:
    former = stored_policy(world)
    if former is None:
        return msgspec.structs.replace(wanted, clients={}, rules=(), routes=())
    clients = {uri: client for uri, client in former.clients.items() if uri in wanted.clients}
    return msgspec.structs.replace(wanted, clients=clients, rules=former.rules, routes=former.routes)
