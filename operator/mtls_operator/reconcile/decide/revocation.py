"""Keep the ledger of revoked identities: whose certificates, begun before when, are refused."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from mtls_operator.api import names
from mtls_operator.desired.keyring import MARGIN, Keyring
from mtls_operator.pki.bundle import decode_bundle
from mtls_operator.pki.extensions import extension
from mtls_operator.reconcile.ownership import Ownership, made_by_us, ownership
from mtls_operator.reconcile.ports import Object
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import World
from mtls_server.contract import CERTIFICATE, POLICY, Policy, decode_policy

from .callers import callers, revoked_identities
from .consent import MOST_CALLERS, created_at, has_certificate, obsolete
from .recovery import mark, server_secret

REVOKE = "revoke/"
"""With this a request for re-issue begins that also refuses what was issued before it."""
MAX_CHAIN = 8
MAX_ENTRIES = 2000
"""Most identities in the ledger."""
MAX_LEDGER_BYTES = 288 * 1024
"""Most bytes of it, which must fit into two Secrets, beside CAs and the rest of the policy."""
_ENTRY_BYTES = 32
"""Of an entry in JSON, beside the identity."""


def revoke(world: World, keyring: Keyring) -> Keyring:
    """Enter who is revoked now, and strike out whom no certificate of before could name any more.

    Whoever was a caller and is none any more is revoked: by the policy that the server was given last, and by
    the Secrets that nobody is to have any more. These are altered only when the ledger is stored.
    """
    present = {caller.uri for caller in callers(world)}
    refused = revoked_identities(world)
    moment = world.now.replace(microsecond=0) + timedelta(seconds=1)
    ledger = dict(keyring.revoked)
    losing = {*_lost_their_secret(world, keyring), *_lost_consent(world, keyring)}
    gone = {*_left_the_policy(world, keyring), *losing} - present
    gone |= set(_recreated(world, keyring))
    ledger.update(dict.fromkeys(gone | (refused - ledger.keys()), moment))
    asked = world.service.metadata.annotations.get(names.ANNOTATION_REISSUE, "")
    request = mark(asked)
    if request not in {"", keyring.reissued_for}:
        keyring = replace(keyring, reissued_for=request)
        if asked.startswith(REVOKE):
            ledger.update(dict.fromkeys(present, moment))
    kept = {uri: at for uri, at in ledger.items() if uri in refused or world.now < _ends(keyring, at)}
    return replace(keyring, revoked=_bounded(kept, present | refused))


def _bounded(ledger: Mapping[str, datetime], lasting: Collection[str]) -> dict[str, datetime]:
    """Forget the oldest entries of very many, but none of those whom the spec names."""
    kept = ledger.keys() & lasting
    room = MAX_LEDGER_BYTES - sum(len(uri) + _ENTRY_BYTES for uri in kept)
    for uri in _by_weight({uri: at for uri, at in ledger.items() if uri not in kept}):
        room -= len(uri) + _ENTRY_BYTES
        if room < 0 or len(kept) >= MAX_ENTRIES:
            break
        kept.add(uri)
    return {uri: ledger[uri] for uri in sorted(kept)}


def _by_weight(ledger: Mapping[str, datetime]) -> list[str]:
    """Order identities so that very many MTLSClients of one namespace displace none of another."""
    seen: Counter[str] = Counter()
    ranks = []
    for uri in sorted(ledger, key=lambda uri: (ledger[uri], uri), reverse=True):
        namespace, _ = names.mtlsclient_of(uri) or ("", "")
        ranks.append((seen[namespace], uri))
        seen[namespace] += 1
    return [uri for _, uri in sorted(ranks)]


def next_end(keyring: Keyring, now: datetime) -> datetime | None:
    """Return when the next entry can be struck out."""
    ends = (_ends(keyring, at) for at in keyring.revoked.values())
    return min((end for end in ends if end > now), default=None)


def _ends(keyring: Keyring, revoked_at: datetime) -> datetime:
    """Return when all certificates have ended that were issued before an identity was revoked."""
    retirements = (each.until for each in keyring.client.retiring)
    return max(revoked_at + keyring.client.longest + MARGIN, *retirements, revoked_at)


def _left_the_policy(world: World, keyring: Keyring) -> Iterator[str]:
    """Return the callers of the policy that was stored last, unless the ledger has moved on since."""
    policy = stored_policy(world)
    if policy is not None:
        for uri in filter(names.is_client, policy.clients):
            if policy.revoked.get(uri) == keyring.revoked.get(uri):
                yield uri


def _lost_their_secret(world: World, keyring: Keyring) -> Iterator[str]:
    """Return whom the Secrets of ours name that the ledger does not refuse yet."""
    wanted = {caller.ref for caller in callers(world)}
    for ref, secret in world.secrets.items():
        ours = made_by_us(secret) and ownership(secret, world.service) is Ownership.OURS
        uri = _accepted(keyring, secret) if ours and ref not in wanted else None
        if uri is not None:
            yield uri


def _lost_consent(world: World, keyring: Keyring) -> Iterator[str]:
    """Return the MTLSClients with a Secret that the ledger does not refuse yet: by their own name only."""
    for client, secret in obsolete(world):
        uri = _accepted(keyring, secret)
        itself = client.metadata.namespace, client.metadata.name
        if uri is not None and names.mtlsclient_of(uri) == itself:
            yield uri


def _recreated(world: World, keyring: Keyring) -> Iterator[str]:
    """Return the MTLSClients that the server serves already although they never got a certificate.

    Each has a predecessor of its name, which was deleted without any pass in between.
    """
    policy = stored_policy(world)
    served = policy.clients if policy else {}
    for caller in callers(world):
        if caller.client is not None and caller.uri in served and not has_certificate(world, caller.client):
            since, created = keyring.revoked.get(caller.uri), created_at(caller.client)
            if since is None or (created is not None and since < created):
                yield caller.uri


def _accepted(keyring: Keyring, secret: Object) -> str | None:
    """Return the identity that the server accepts the leaf in a Secret for; None: it does not.

    Many can write Secrets, but only what we signed says whom there is to revoke.
    """
    leaf = _leaf(decode_data(secret).get(CERTIFICATE, b""))
    if leaf is None or not keyring.client.signed(leaf):
        return None
    uri = _uri(leaf)
    since = keyring.revoked.get(uri) if uri else None
    return uri if since is None or leaf.not_valid_before_utc >= since else None


def stored_policy(world: World) -> Policy | None:
    """Return the policy that the server was given last, if it can be read, and could be one of ours."""
    try:
        policy = decode_policy(decode_data(server_secret(world)).get(POLICY, b""))
    except ValueError:
        return None
    return policy if len(policy.clients) <= MOST_CALLERS else None


def _leaf(pem: bytes) -> x509.Certificate | None:
    try:
        return decode_bundle(pem, MAX_CHAIN)[0]
    except ValueError:
        return None


def _uri(leaf: x509.Certificate) -> str | None:
    """Return the one URI that identifies a caller."""
    alternatives = extension(leaf, x509.SubjectAlternativeName)
    uris = alternatives.get_values_for_type(x509.UniformResourceIdentifier) if alternatives else []
    return uris[0] if len(uris) == 1 else None
