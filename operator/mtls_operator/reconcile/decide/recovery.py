"""Read the authority Secret, and find out from other Secrets what it does not, or no longer, say."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from mtls_operator.api import defaults, names
from mtls_operator.desired.keyring import ROLES, Assumed, Keyring, decode_keyring, lose
from mtls_operator.pki.authority import Role
from mtls_operator.pki.bundle import decode_anchors, fingerprint
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.validity import SKEW
from mtls_operator.reconcile.ownership import Ownership, ownership
from mtls_operator.reconcile.ports import Object
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import World
from mtls_server.contract import POLICY, TRUST_ANCHORS, decode_policy

from .callers import callers

MAX_REQUEST = 128
"""Most characters of a request that are kept as they are."""


def read_keyring(world: World) -> Keyring:
    """Return what the authority Secret holds; of an authority that is lost, what others know of it.

    Raises:
        ValueError: a later version of the operator wrote the Secret.
    """
    annotations = world.service.metadata.annotations
    assumed = Assumed(
        longest={role: max(wanted_longest(world, role), _stored_longest(world, role)) for role in ROLES},
        rotated_for=mark(annotations.get(names.ANNOTATION_ROTATE_AUTHORITY, "")),
        reissued_for=mark(annotations.get(names.ANNOTATION_REISSUE, "")),
        revoked=_published_revocations(world),
        now=world.now,
    )
    keyring = decode_keyring(decode_data(world.authority), assumed)
    for role in ROLES:
        keyring = keyring.with_(_recovered(world, keyring.of(role)))
    return keyring


def wanted_longest(world: World, role: Role) -> timedelta:
    """Return the longest duration that the spec asks of any leaf of this role."""
    if role == "server":
        return defaults.certificate_duration(world.service.spec.certificates)
    return max((caller.duration for caller in callers(world)), default=timedelta())


def mark(request: str) -> str:
    """Shorten what a person wrote to what can be kept: the text, or the digest of a long one."""
    return request if len(request) <= MAX_REQUEST else hashlib.sha256(request.encode()).hexdigest()


def server_secret(world: World) -> Object | None:
    """Return the Secret of the server, if it is ours."""
    secret = world.secret(names.server_secret(world.service.metadata.name))
    ours = secret is not None and ownership(secret, world.service) is Ownership.OURS
    return secret if ours else None


def _recovered(world: World, generations: Generations) -> Generations:
    """Keep trusting an authority that is lost, if status vouches for its certificate."""
    if generations.signing or generations.next or generations.retiring:
        return generations
    role = generations.role
    retiring = tuple(lose(role, (lost,), None, world.now) for lost in _vouched(world, role))
    return replace(generations, retiring=retiring)


def _vouched(world: World, role: Role) -> list[x509.Certificate]:
    """Return the certificates in bundles of ours of which status tells: a tenant can not write that."""
    status = world.service.status
    known = getattr(status.authorities, role) if status and status.authorities else None
    if known is None:
        return []
    fingerprints = {known.fingerprint, *known.anchors}
    found = {fingerprint(each): each for secret in _verifiers(world, role) for each in _bundle(secret)}
    return [certificate for name, certificate in sorted(found.items()) if name in fingerprints]


def _verifiers(world: World, role: Role) -> Iterator[Object]:
    """Return the Secrets of those who verify leaves of this role."""
    return _client_secrets(world) if role == "server" else _server_secrets(world)


def _server_secrets(world: World) -> Iterator[Object]:
    return filter(None, [server_secret(world)])


def _client_secrets(world: World) -> Iterator[Object]:
    return filter(None, (world.secrets.get(caller.ref) for caller in callers(world)))


def _bundle(secret: Object) -> tuple[x509.Certificate, ...]:
    try:
        return decode_anchors(decode_data(secret).get(TRUST_ANCHORS, b""))
    except ValueError:
        return ()


def _published_revocations(world: World) -> dict[str, datetime]:
    """Return the copy of the ledger that the server enforces, as far as we can have written it."""
    document = decode_data(server_secret(world)).get(POLICY, b"")
    try:
        published = decode_policy(document).revoked
    except ValueError:
        return {}
    latest = world.now + SKEW
    return {uri: min(at, latest) for uri, at in published.items() if names.is_client(uri)}


def _stored_longest(world: World, role: Role) -> timedelta:
    """Return the longest duration of any leaf of this role that is there, by its annotation."""
    secrets = _server_secrets(world) if role == "server" else _client_secrets(world)
    return max(map(_duration, secrets), default=timedelta())


def _duration(secret: Object) -> timedelta:
    text = (secret["metadata"].get("annotations") or {}).get(names.ANNOTATION_DURATION, "")
    return timedelta(seconds=int(text) if re.fullmatch("[0-9]{1,9}", text) else 0)
