"""What must hold of every reachable state; each returns the sentences that say what does not."""

import base64
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mtls_operator.pki.authority import spki_digest

from .kubelet import Delivery
from .simulation import AUTHORITY, SERVER, IssuedLeaf, Simulation


def a_server_trusts_every_caller(world: Simulation) -> Iterator[str]:
    """A pod trusts every leaf of its own client authority that is neither ended nor revoked.

    A pod that cannot be reached counts by time; one that is behind since then, or since its start, is named.
    """
    named = {pod.name for pod in world.report.pods if not pod.acknowledged}
    for pod in world.pods:
        if not pod.reachable or (pod.behind and (world.operator_down or pod.name in named)):
            continue
        for leaf in _living(world, servers=False):
            if leaf.certificate in world.signed_early or _is_revoked(world, leaf):
                continue
            known = [each for each in pod.mounted.anchors if spki_digest(each) in pod.mounted.own_sources]
            if not _signed_by(leaf.certificate, known):
                yield f"{pod.name} does not trust {leaf.secret.name} of {leaf.issued_at:%H:%M:%S}"


def every_caller_trusts_a_server(world: Simulation) -> Iterator[str]:
    """Whatever bundle a caller may still hold verifies every server certificate in service."""
    gate = world.now - world.propagation
    for ref, versions in world.bundles.items():
        for bundle in versions:
            if bundle.until is not None and bundle.until <= gate:
                continue
            for pod in world.pods:
                leaf = pod.mounted.leaf
                if leaf in world.signed_early:
                    continue
                if leaf.not_valid_after_utc >= world.now and not _signed_by(leaf, bundle.anchors):
                    yield f"{ref.name} of {bundle.since:%H:%M:%S} does not verify {pod.name}"


def no_leaf_outlives_its_authority(world: Simulation) -> Iterator[str]:
    for leaf in world.leaves:
        for authority in world.authorities_seen:
            end = leaf.certificate.not_valid_after_utc
            if _issued(authority, leaf.certificate) and end > authority.not_valid_after_utc:
                yield f"{leaf.secret.name} ends at {end}, after its authority"


def no_key_outlives_its_use(world: Simulation) -> Iterator[str]:
    """Keys are kept of what signs and of what is about to; and nowhere but in the authority Secret."""
    stored = world.universe.objects.get(AUTHORITY)
    data = {name: base64.b64decode(value) for name, value in stored["data"].items()} if stored else {}
    keys = {name: _public(pem) for name, pem in data.items() if b"PRIVATE KEY" in pem}
    yield from (
        f"the key {name} is kept"
        for name in keys
        if name not in {"server.key", "client.key", "server-next.key", "client-next.key"}
    )
    for role in ("server", "client"):
        for retired in _certificates(data.get(f"{role}-retiring.crt", b"")):
            if retired.public_key() in keys.values():
                yield f"the key of a retired {role} authority is kept"


def one_authority_signs_at_a_time(world: Simulation) -> Iterator[str]:
    """Once another authority of a role signs, the former never does again."""
    for servers in (True, False):
        order: list[str] = []
        for leaf in (leaf for leaf in world.leaves if (leaf.secret == SERVER) is servers):
            issuer = _authority_key_id(leaf.certificate)
            if order and issuer in order[:-1]:
                yield f"{leaf.secret.name} of {leaf.issued_at:%H:%M:%S} is signed by a former authority"
            if not order or order[-1] != issuer:
                order.append(issuer)


def no_gate_is_skipped_before_its_time(world: Simulation) -> Iterator[str]:
    """Nobody signs unheard before the end of the former, nor early before the end of the leaf at hand."""
    for skip in world.skips:
        if skip.now < skip.deadline:
            yield f"{skip.what} at {skip.now:%H:%M:%S}, before {skip.deadline:%H:%M:%S}"


def whoever_is_revoked_is_refused(world: Simulation) -> Iterator[str]:
    """By the policy as stored, each leaf that was in use when its identity was revoked."""
    newest = world.newest
    if newest is None or world.operator_down:
        return
    policy = newest.policy
    for leaf in _living(world, servers=False):
        uri = _uri(leaf.certificate)
        moment = world.revoked_at.get(uri)
        if moment is None or leaf.issued_at > moment or uri not in policy.clients:
            continue
        if uri not in policy.revoked or leaf.certificate.not_valid_before_utc >= policy.revoked[uri]:
            yield f"{leaf.secret.name} of {leaf.issued_at:%H:%M:%S} is served again"


def whoever_is_wanted_is_served(world: Simulation) -> Iterator[str]:
    """A caller's newest leaf began late enough for the ledger, and one who is refused has no Secret."""
    if world.newest is None or world.operator_down:
        return
    policy = world.newest.policy
    signs = all(rotation.generations.signing is not None for rotation in world.report.rotations)
    refused = {
        client["name"] for client in world.universe.service["spec"]["clients"] if client.get("revoked")
    }
    for ref, secret in world.universe.objects.items():
        if ref not in world.bundles:
            continue
        if ref.name.removeprefix("orders-client-") in refused:
            yield f"{ref.name} is there, although its client is revoked"
        leaf = Delivery.of(secret).leaf
        moment = policy.revoked.get(_uri(leaf))
        if signs and moment is not None and leaf.not_valid_before_utc < moment:
            yield f"{ref.name} holds a leaf that is refused, and could have another"


def what_is_stored_fits_together(world: Simulation) -> Iterator[str]:
    """Whoever reads all Secrets now is verified by everybody who does."""
    if world.newest is None or world.operator_down:
        return
    for ref, secret in world.universe.objects.items():
        if ref in world.bundles:
            caller = Delivery.of(secret)
            if not _signed_by(caller.leaf, world.newest.anchors):
                yield f"{ref.name} holds a leaf that the server's bundle does not verify"
            if not _signed_by(world.newest.leaf, caller.anchors):
                yield f"{ref.name} holds a bundle that does not verify the server's leaf"


def nobody_trusts_what_is_over(world: Simulation) -> Iterator[str]:
    """An authority leaves the bundles when its time is over."""
    if world.operator_down:
        return
    for rotation in world.report.rotations:
        for former in rotation.generations.retiring:
            if former.until < world.now:
                yield f"a {former.role} authority is trusted although it was over at {former.until:%H:%M:%S}"


INVARIANTS: tuple[Callable[[Simulation], Iterator[str]], ...] = (
    a_server_trusts_every_caller,
    every_caller_trusts_a_server,
    no_leaf_outlives_its_authority,
    no_key_outlives_its_use,
    one_authority_signs_at_a_time,
    no_gate_is_skipped_before_its_time,
    whoever_is_revoked_is_refused,
    whoever_is_wanted_is_served,
    what_is_stored_fits_together,
    nobody_trusts_what_is_over,
)


def violations(world: Simulation) -> list[str]:
    return [f"{check.__name__}: {sentence}" for check in INVARIANTS for sentence in check(world)]


def _living(world: Simulation, *, servers: bool) -> Iterator[IssuedLeaf]:
    for leaf in world.leaves:
        if (leaf.secret == SERVER) is servers and leaf.certificate.not_valid_after_utc >= world.now:
            yield leaf


def _is_revoked(world: Simulation, leaf: IssuedLeaf) -> bool:
    moment = world.revocations.get(_uri(leaf.certificate))
    return moment is not None and leaf.certificate.not_valid_before_utc < moment


@cache
def _uri(leaf: x509.Certificate) -> str:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    return str(uri)


def _signed_by(leaf: x509.Certificate, anchors: Iterable[x509.Certificate]) -> bool:
    return any(_issued(anchor, leaf) for anchor in anchors)


@cache
def _issued(authority: x509.Certificate, leaf: x509.Certificate) -> bool:
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return authority.subject == leaf.issuer and identifier.hex() == _authority_key_id(leaf)


def _authority_key_id(leaf: x509.Certificate) -> str:
    identifier = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return identifier.hex() if identifier else ""


def _public(pem: bytes) -> object:
    try:
        return load_pem_private_key(pem, None).public_key()
    except ValueError:
        return None


def _certificates(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem) if pem else []
