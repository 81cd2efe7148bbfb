"""Decide whom else the server trusts: the CAs of `spec.trust`, of which nothing but certificates is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509

from mtls_operator.api import names
from mtls_operator.api.types import TrustSource
from mtls_operator.pki.authority import spki_digest
from mtls_operator.pki.bundle import (
    MAX_BUNDLE_BYTES,
    MAX_CERTIFICATES,
    decode_anchors,
    decode_bundle,
    encode_bundle,
)
from mtls_operator.policies.trust import Anchor, omission, refusal
from mtls_operator.reconcile.ownership import Ownership, ownership
from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.ports import SECRET, Object, Resource
from mtls_operator.reconcile.references import resolve, trust_reference
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import World
from mtls_server.contract import OWN_SOURCE, POLICY, TRUST_ANCHORS, decode_policy

TRUST_MISSING: Final = "TrustMissing"
TRUST_INVALID: Final = "TrustInvalid"
TRUST_INCOMPLETE: Final = "TrustIncomplete"
"""Some CAs of a source are left out, and need not be there."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Further CAs whose clients the server may serve."""

    anchors: tuple[Anchor, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of each entry to the SHA-256 (lower-case hex) of its CAs' public keys."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Return what joins our own authorities in the server's bundle."""
        return tuple(anchor.certificate for anchor in self.anchors)

    @property
    def wake(self) -> datetime | None:
        """Return when the first of them ends, and is to be left out."""
        return min((each.not_valid_after_utc for each in self.certificates), default=None)


@dataclass(frozen=True, slots=True)
class _Source:
    """What one entry adds, and what there is to say about it."""

    certificates: tuple[x509.Certificate, ...] = ()
    problem: Problem | None = None
    omissions: tuple[str, ...] = ()


def decide_trust(world: World, own: Sequence[x509.Certificate]) -> Trust:
    """Return what the entries of `spec.trust` add; one that can not be read keeps what it added last.

    Args:
        world: with the entries, what they refer to, and what the server has now.
        own: certificates of our client authority, which is nobody else's source, whatever an entry holds.
    """
    ours = tuple(Anchor(certificate, OWN_SOURCE) for certificate in own)
    trust = Trust()
    for entry in world.service.spec.trust:
        source = _decide_source(world, entry, ours, trust.anchors)
        prefix = f"trust source {entry.name!r}"
        trust = Trust(
            anchors=(*trust.anchors, *(Anchor(each, entry.name) for each in source.certificates)),
            sources={
                **trust.sources,
                entry.name: tuple(dict.fromkeys(map(spki_digest, source.certificates))),
            },
            problems=(*trust.problems, *([source.problem] if source.problem else [])),
            warnings=(
                *trust.warnings,
                *(Problem(TRUST_INCOMPLETE, f"{prefix}: {omitted}") for omitted in source.omissions),
            ),
        )
    return trust


def _decide_source(
    world: World, entry: TrustSource, ours: Sequence[Anchor], others: Sequence[Anchor]
) -> _Source:
    ref, key = trust_reference(world.service.metadata.namespace, entry)
    object_name = f"{ref.resource.kind} {ref.name}"
    try:
        pem = _contents(ref.resource, resolve(world, ref, names.USE_TRUST)).get(key)
    except ValueError as error:
        return _keep(world, entry, ours, others, Problem(TRUST_MISSING, str(error)))
    if pem is None:
        problem = Problem(TRUST_MISSING, f"{object_name} has no key {key}; write one that it has, or add it")
        return _keep(world, entry, ours, others, problem)
    try:
        return _take(world, decode_bundle(pem), ours, others)
    except ValueError as error:
        problem = Problem(TRUST_INVALID, f"key {key} of {object_name} is refused: {error}")
        return _keep(world, entry, ours, others, problem)


def _take(
    world: World,
    certificates: Sequence[x509.Certificate],
    ours: Sequence[Anchor],
    others: Sequence[Anchor],
) -> _Source:
    """Admit all of a source, or nothing of it; what adds nothing is no reason to refuse the rest.

    Raises:
        ValueError: a certificate must not be trusted, or there are too many of them.
    """
    taken, omissions = [], []
    for certificate in dict.fromkeys(certificates):
        omitted = omission(certificate, (*ours, *others), world.now)
        if omitted:
            omissions.append(omitted)
            continue
        refused = refusal(certificate, (*ours, *others), strict=_is_strict(world))
        if refused:
            raise ValueError(refused)
        taken.append(certificate)
    _require_room(taken, others)
    return _Source(tuple(taken), omissions=tuple(omissions))


def _keep(
    world: World, entry: TrustSource, ours: Sequence[Anchor], others: Sequence[Anchor], problem: Problem
) -> _Source:
    """Go on with what the server has of this source, as far as that may still be trusted."""
    present = (*ours, *others)
    kept = [
        certificate
        for certificate in _former(world, entry.name)
        if not omission(certificate, present, world.now)
        and not refusal(certificate, present, strict=_is_strict(world))
    ]
    try:
        _require_room(kept, others)
    except ValueError:
        kept = []
    outcome = f"the last good CAs stay ({len(kept)})" if kept else "none of its CAs is trusted"
    told = Problem(problem.reason, f"trust source {entry.name!r}: {problem.message}; {outcome}")
    return _Source(tuple(kept), told)


def _former(world: World, source: str) -> Sequence[x509.Certificate]:
    """Return the CAs of this source that the server Secret, as stored, holds."""
    stored = world.secret(names.server_secret(world.service.metadata.name))
    if stored is None or ownership(stored, world.service) is not Ownership.OURS:
        return ()
    data = decode_data(stored)
    try:
        keys = decode_policy(data.get(POLICY, b"")).sources.get(source, ())
        bundle = decode_anchors(data.get(TRUST_ANCHORS, b""))
    except ValueError:
        return ()
    return [certificate for certificate in bundle if spki_digest(certificate) in keys]


def _require_room(certificates: Sequence[x509.Certificate], others: Sequence[Anchor]) -> None:
    everything = [*(anchor.certificate for anchor in others), *certificates]
    size = len(encode_bundle(everything))
    if len(everything) > MAX_CERTIFICATES or size > MAX_BUNDLE_BYTES:
        msg = (
            f"with it, trust has {len(everything)} CAs of {size} bytes; at most {MAX_CERTIFICATES} of "
            f"{MAX_BUNDLE_BYTES} bytes are read: leave out some, or trust the root above them"
        )
        raise ValueError(msg)


def _is_strict(world: World) -> bool:
    """Only our server can be told to be lenient; with backend none, nobody of ours refuses anything."""
    spec = world.service.spec
    return spec.tls.x509_strict and not spec.certificates_only


def _contents(resource: Resource, found: Object) -> Mapping[str, bytes]:
    """Return the data of a Secret or ConfigMap; binary data of the latter is no PEM."""
    if resource == SECRET:
        return decode_data(found)
    return {key: text.encode() for key, text in (found.get("data") or {}).items()}
