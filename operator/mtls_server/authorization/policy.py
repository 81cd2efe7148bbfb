"""Who is served, and as whom: pure decisions on an identity and the mounted policy. Default deny."""

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import Final, NamedTuple, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mtls_server.authorization.routes import Routes
from mtls_server.authorization.rules import Rules
from mtls_server.contract import OWN_SOURCE, Client, Policy
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


class Grant(NamedTuple):
    """What the policy grants a caller."""

    identity: Identity
    """With the client's name, source, roles and tenant."""
    by: str
    """What grants it: ``clients``, or a rule, such as ``rules[2]``."""


@dataclass(frozen=True)
class Authorisation:
    """A policy, prepared so that the time of a decision does not grow with the number of clients."""

    policy: Policy
    sources: Mapping[str, str]
    """Public key to the source that it speaks for."""
    rules: Rules
    routes: Routes

    @classmethod
    def compile(cls, policy: Policy) -> Self:
        """Prepare a policy.

        Raises:
            ValueError: a rule or a route cannot mean what it says, in words.
        """
        listed = [(key, source) for source, keys in policy.sources.items() for key in keys]
        return cls(policy, dict(reversed(listed)), Rules.compile(policy.rules), Routes.compile(policy.routes))

    def source_of(self, issuers: Sequence[bytes]) -> str:
        """Tell which authority vouches for a peer: by public key, never by name.

        Args:
            issuers: the verified chain above the leaf (DER), nearest first.

        Raises:
            RefusedError: the policy lists none of them.
        """
        for issuer in issuers:
            source = self.sources.get(authority(issuer).public_key)
            if source is not None:
                return source
        raise RefusedError(
            Reason.UNKNOWN_SOURCE, "the certificate's issuer belongs to no source of the policy"
        )

    def authorise(self, identity: Identity, source: str) -> Grant:
        """Ask revocations, then rules that deny, then clients, then rules that grant.

        Raises:
            RefusedError: the policy refuses this peer, or grants it nothing.
        """
        if source == OWN_SOURCE:
            self._refuse_revoked(identity)
        self._refuse_denied(identity, source)
        client = self._client(identity) if source == OWN_SOURCE else None
        if client is not None:
            granted = msgspec.structs.replace(
                identity, client=client.name, source=source, roles=client.roles, tenant=client.tenant
            )
            return Grant(granted, "clients")
        granting = self.rules.granting.first(identity, source)
        if granting is None:
            raise RefusedError(Reason.UNKNOWN_CLIENT, _unknown(identity, source))
        rule = granting.rule
        granted = msgspec.structs.replace(
            identity, client=None, source=source, roles=rule.roles, tenant=rule.tenant
        )
        return Grant(granted, str(granting))

    def _client(self, identity: Identity) -> Client | None:
        return self.policy.clients.get(identity.uri) if identity.uri is not None else None

    def _refuse_revoked(self, identity: Identity) -> None:
        """Judge by identity and time, as a renewed certificate's predecessors are listed nowhere."""
        revoked = self.policy.revoked.get(identity.uri) if identity.uri is not None else None
        if revoked is not None and identity.valid_from < revoked:
            raise RefusedError(
                Reason.REVOKED,
                f"certificates of this client that began before {revoked.astimezone(UTC):%FT%TZ} are revoked",
                by="revoked",
            )

    def _refuse_denied(self, identity: Identity, source: str) -> None:
        denying = self.rules.denying.first(identity, source)
        if denying is not None:
            raise RefusedError(Reason.DENIED, "a rule of the policy denies this caller", by=str(denying))


def _unknown(identity: Identity, source: str) -> str:
    if identity.uri is None:
        return "the certificate carries no URI name, by which the policy knows clients, and no rule matches"
    return f"no client and no rule of the policy matches {identity.uri[:MAX_QUOTED]} of source {source}"
