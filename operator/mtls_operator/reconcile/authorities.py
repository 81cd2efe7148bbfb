"""Decide about the authority Secret: the precious one, created once and never rebuilt over what is there."""

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from mtls_operator.api import defaults, names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_operator.desired.secrets import authority_secret
from mtls_operator.pki.authority import Authority, Role, decode_authority, encode_authority, issue_authority
from mtls_operator.pki.entropy import Entropy

from .ownership import Ownership, ownership
from .plan import Create, Plan, Problem, Replace, name_taken
from .ports import SECRET, Object, Ref
from .secrets import decode_data, merged, metadata_differs
from .world import World

ROLES: tuple[Role, ...] = get_args(Role)
AUTHORITY_INVALID = "AuthorityInvalid"


@dataclass(frozen=True, slots=True)
class Authorities:
    """The two authorities of a service: what callers trust, and what the server trusts."""

    server: Authority
    client: Authority


def decide_authorities(world: World, entropy: Entropy) -> tuple[Authorities | None, Plan]:
    """Return the authorities when their Secret is there and sound, and what to do about it."""
    service, stored = world.service, world.authority
    ref = Ref(SECRET, world.settings.namespace, names.authority_secret(service.metadata.uid))
    if ref in world.taken:
        return None, name_taken(ref, world.now)
    if stored is None:
        body = _issue(service, world.settings, world.now, entropy)
        return None, Plan(writes=(Create(SECRET, body),))
    if ownership(stored, service) is not Ownership.OURS and not _names_owner(stored, service):
        return None, name_taken(ref, world.now)
    try:
        authorities = _decode(stored)
    except ValueError as error:
        message = (
            f"Secret {ref.namespace}/{ref.name} holds no usable authority ({error}): restore it from a "
            "backup, or delete it to start anew, which interrupts callers until they have the new trust"
        )
        return None, Plan(problems=(Problem(AUTHORITY_INVALID, message),))
    wanted = authority_secret(service, world.settings, decode_data(stored))
    if metadata_differs(wanted, stored):
        return authorities, Plan(writes=(Replace(SECRET, merged(wanted, stored)),))
    return authorities, Plan()


def _issue(service: MTLSService, settings: Settings, now: datetime, entropy: Entropy) -> Object:
    owner = f"{service.metadata.namespace}/{service.metadata.name}"
    data = {}
    for role in ROLES:
        authority = issue_authority(
            role, owner, defaults.authority_duration(getattr(service.spec.authority, role)), now, entropy
        )
        data[f"{role}.crt"], data[f"{role}.key"] = encode_authority(authority)
    return authority_secret(service, settings, data)


def _decode(stored: Object) -> Authorities:
    data = decode_data(stored)
    decoded = {
        role: decode_authority(role, data.get(f"{role}.crt", b""), data.get(f"{role}.key", b""))
        for role in ROLES
    }
    return Authorities(**decoded)


def _names_owner(stored: Object, service: MTLSService) -> bool:
    """The name carries the UID, in a namespace where only we write: enough when every label was stripped."""
    return bool(stored["metadata"]["name"] == names.authority_secret(service.metadata.uid))
