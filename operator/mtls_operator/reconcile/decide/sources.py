"""Read the CAs of the user's own that are to be authorities: labelled Secrets of the service's namespace."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from cryptography import x509

from mtls_operator.api import defaults, names
from mtls_operator.api.types import AuthoritySource
from mtls_operator.pki.authority import MAX_CHAIN, Authority, Role, spki_digest
from mtls_operator.pki.bundle import decode_bundle
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.keys import DEFAULT_KEY, decode_key
from mtls_operator.pki.leaf import LeafProfile, client_profile, server_profile
from mtls_operator.pki.validity import rfc3339
from mtls_operator.policies.authority import LEAVES_LEFT, Candidate, assemble, evaluate
from mtls_operator.policies.foreign import is_self_signed
from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.ports import SECRET, Ref
from mtls_operator.reconcile.references import resolve
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import World
from mtls_server.contract import CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS

from .callers import callers, client_uri
from .recovery import wanted_longest

AUTHORITY_MISSING: Final = "AuthorityMissing"
AUTHORITY_INVALID: Final = "AuthorityInvalid"
AUTHORITY_ENDING: Final = "AuthorityEnding"
LEAVES_WARNED_OF: Final = 4
"""How many of its longest leaves before the end of an authority of the user's own is told of it."""
RETRY_REFUSED: Final = timedelta(minutes=10)
"""One that is refused may just not hold yet."""


Given: TypeAlias = Authority | Problem | None
"""A CA of the user's own, why it can not be one, or that none is wanted."""


def wanted_authority(world: World, role: Role) -> Given:
    """Return the user's own CA that is to sign, or why it can not; None: the spec names none."""
    reference = _source(world, role).secret_ref
    if reference is None:
        return None
    ref = Ref(SECRET, world.service.metadata.namespace, reference.name)
    field = f"authority.{role}.secretRef"
    try:
        found = resolve(world, ref, names.USE_AUTHORITY)
    except ValueError as error:
        return Problem(AUTHORITY_MISSING, f"{field}: {error}")
    try:
        authority = _read(world, role, decode_data(found))
        _examine(world, authority)
    except ValueError as error:
        return Problem(AUTHORITY_INVALID, f"{field}: Secret {ref.name} is refused: {error}")
    return authority


def next_look(world: World, given: Given) -> datetime | None:
    """Return when time alone may change what is said of a CA of the user's own."""
    if isinstance(given, Problem):
        return world.now + RETRY_REFUSED
    if given is None:
        return None
    moments = (_warned_from(world, given), given.not_after - LEAVES_LEFT * _longest_leaf(world, given.role))
    return min((moment for moment in moments if moment > world.now), default=None)


def ending(world: World, generations: Generations) -> Problem | None:
    """Warn of the end of an authority that only its user can replace, while there is time for it."""
    role, signing = generations.role, generations.signing
    reference = _source(world, role).secret_ref
    if reference is None or signing is None or generations.next is not None:
        return None
    if world.now < _warned_from(world, signing):
        return None
    message = (
        f"the {role} authority of Secret {reference.name} ends at {rfc3339(signing.not_after)}, and so does "
        "what it signs; put another CA into the Secret before"
    )
    return Problem(AUTHORITY_ENDING, message)


def _longest_leaf(world: World, role: Role) -> timedelta:
    """Return the longest duration of what is to be signed; of clients to come, that of the server."""
    return wanted_longest(world, role) or defaults.certificate_duration(world.service.spec.certificates)


def _warned_from(world: World, authority: Authority) -> datetime:
    return authority.not_after - LEAVES_WARNED_OF * _longest_leaf(world, authority.role)


def _source(world: World, role: Role) -> AuthoritySource:
    authority = world.service.spec.authority
    return authority.server if role == "server" else authority.client


def _read(world: World, role: Role, data: Mapping[str, bytes]) -> Authority:
    """Parse certificate, chain and key.

    Raises:
        ValueError: a part can not be read; says which, without repeating any of it.
    """
    chain = assemble(_certificates(data, CERTIFICATE), ())
    if not is_self_signed(chain[-1]) and data.get(TRUST_ANCHORS):
        chain = assemble(chain, _certificates(data, TRUST_ANCHORS))
    # The primes of a key are proven once: the factors of a modulus that was taken before are its primes.
    is_known = spki_digest(chain[0]) in _taken_keys(world, role)
    try:
        key = decode_key(data.get(PRIVATE_KEY, b""), prove_primes=not is_known)
    except ValueError as error:
        msg = f"{PRIVATE_KEY}: {error}"
        raise ValueError(msg) from None
    return Authority(role, chain[0], key, chain[1:])


def _examine(world: World, authority: Authority) -> None:
    """Check that it may sign what is wanted.

    Raises:
        ValueError: it may not; names the rule, and the command that makes a good one.
    """
    role = authority.role
    broken = evaluate(Candidate(authority, _profiles(world, role), _longest_leaf(world, role), world.now))
    if broken:
        raise ValueError(broken)


def _certificates(data: Mapping[str, bytes], file: str) -> tuple[x509.Certificate, ...]:
    try:
        return decode_bundle(data.get(file, b""), MAX_CHAIN)
    except ValueError as error:
        msg = f"{file}: {error}"
        raise ValueError(msg) from None


def _taken_keys(world: World, role: Role) -> frozenset[str]:
    """Name the keys that the authority Secret holds: they were examined before they came there."""
    data, keys = decode_data(world.authority), set()
    for file in (f"{role}.crt", f"{role}-next.crt"):
        with suppress(ValueError):
            keys.add(spki_digest(decode_bundle(data.get(file, b""), MAX_CHAIN)[0]))
    return frozenset(keys)


def _profiles(world: World, role: Role) -> list[LeafProfile]:
    """Describe what it shall sign, as far as names go; of callers to come, the trust domain is known."""
    service = world.service
    if role == "client":
        known = [client_profile(caller.name, caller.uri, DEFAULT_KEY) for caller in callers(world)]
        return [*known, client_profile("", client_uri(world, "any"), DEFAULT_KEY)]
    certificates = service.spec.certificates
    in_cluster = names.server_dns_names(
        service.metadata.name, service.metadata.namespace, world.settings.cluster_domain
    )
    return [server_profile((*in_cluster, *certificates.dns_names), certificates.ip_addresses, DEFAULT_KEY)]
