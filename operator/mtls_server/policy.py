"""Who is served, and as whom: pure decisions on an identity and the mounted policy. Default deny."""

import hashlib
from collections.abc import Container, Sequence
from datetime import UTC
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mtls_server.contract import OWN_SOURCE, Policy
from mtls_server.identity import Identity, Reason, RefusedError

MAX_AUTHORITIES: Final = 1024
MAX_QUOTED: Final = 256
"""Characters of a stranger's certificate that an answer repeats."""


class Authority(NamedTuple):
    """What makes two certificates of an authority one: either verifies what the other has signed."""

    subject: bytes
    """DER."""
    public_key: str
    """SHA-256 (lower-case hex) of the public key (SPKI, DER)."""


@lru_cache(MAX_AUTHORITIES)
def authority(certificate: bytes) -> Authority:
    """Tell which authority a certificate (DER) of a verified chain belongs to."""
    parsed = x509.load_der_x509_certificate(certificate)
    key = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Authority(parsed.subject.public_bytes(), hashlib.sha256(key).hexdigest())


def trusted_part(chain: Sequence[bytes], trusted: Container[Authority]) -> Sequence[bytes]:
    """Return the chain up to the trust anchor that ends it today.

    Args:
        chain: verified against earlier anchors; DER, leaf first.
        trusted: the anchors of today.

    Raises:
        RefusedError: no anchor is part of it.
    """
    for end in range(len(chain) - 1, 0, -1):
        if authority(chain[end]) in trusted:
            return chain[: end + 1]
    raise RefusedError(Reason.DISTRUSTED, "the authority that vouched for the certificate is trusted no more")


def source_of(policy: Policy, issuers: Sequence[bytes]) -> str:
    """Tell which authority vouches for a peer: by public key, never by name.

    Args:
        policy: lists the public keys of each source.
        issuers: the verified chain above the leaf (DER), nearest first.

    Raises:
        RefusedError: the policy lists none of them.
    """
    for issuer in issuers:
        key = authority(issuer).public_key
        for source, keys in policy.sources.items():
            if key in keys:
                return source
    raise RefusedError(Reason.UNKNOWN_SOURCE, "the certificate's issuer belongs to no source of the policy")


def authorise(policy: Policy, identity: Identity, source: str) -> Identity:
    """Return the identity with the client's name, source, roles and tenant.

    Raises:
        RefusedError: the policy grants this peer nothing.
    """
    if source == OWN_SOURCE:
        _refuse_revoked(policy, identity)
    if identity.uri is None:
        raise RefusedError(
            Reason.UNKNOWN_CLIENT, "the certificate carries no URI name, by which the policy knows clients"
        )
    client = policy.clients.get(identity.uri) if source == OWN_SOURCE else None
    if client is None:
        raise RefusedError(
            Reason.UNKNOWN_CLIENT,
            f"the policy lists no client {identity.uri[:MAX_QUOTED]} of source {source}",
        )
    return msgspec.structs.replace(
        identity, client=client.name, source=source, roles=client.roles, tenant=client.tenant
    )


def _refuse_revoked(policy: Policy, identity: Identity) -> None:
    """Judge by identity and time, as a renewed certificate's predecessors are listed nowhere."""
    revoked = policy.revoked.get(identity.uri) if identity.uri is not None else None
    if revoked is not None and identity.valid_from < revoked:
        raise RefusedError(
            Reason.REVOKED,
            f"certificates of this client that began before {revoked.astimezone(UTC):%FT%TZ} are revoked",
        )
