"""The trust anchors: the authorities that may sign clients, and what is asked of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls_server.authorization.policy import Authority, authority
from mtls_server.contract import TRUST_ANCHORS
from mtls_server.files.certificates import extension, read_certificates
from mtls_server.files.faults import Fault, MaterialError

MIN_RSA_BITS: Final = 2048
MIN_EC_BITS: Final = 224
"""What OpenSSL's security level 2 demands, which is Python's."""
_IDENTIFIERS: Final = {x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier}


@dataclass(frozen=True)
class Anchors:
    """The only certificates that may end a client's chain."""

    certificates: tuple[x509.Certificate, ...]
    der: bytes
    """All of them, one after the other."""
    key_ids: tuple[str, ...]
    """The subject key identifier (lower-case hex) of each."""
    authorities: frozenset[Authority]

    @classmethod
    def of(cls, certificates: Sequence[x509.Certificate]) -> Self:
        """Describe certificates in the ways in which they are looked at."""
        ders = [one.public_bytes(Encoding.DER) for one in certificates]
        return cls(
            certificates=tuple(certificates),
            der=b"".join(ders),
            key_ids=tuple(key_id(one) for one in certificates),
            authorities=frozenset(authority(der) for der in ders),
        )


@lru_cache(1)
def read_anchors(pem: bytes, *, x509_strict: bool) -> Anchors:
    """Parse and check the trust anchors; few deliveries change them, so the last ones are remembered.

    Args:
        pem: the contents of the file.
        x509_strict: whether they must satisfy VERIFY_X509_STRICT.

    Raises:
        MaterialError: they cannot serve.
    """
    certificates = read_certificates(TRUST_ANCHORS, pem)
    for position, certificate in enumerate(certificates, 1):
        _require_authority(position, certificate)
        _require_strength(position, certificate)
        if x509_strict:
            _require_strict(position, certificate)
    return Anchors.of(certificates)


def key_id(certificate: x509.Certificate) -> str:
    """Return the subject key identifier (lower-case hex) as carried, else as RFC 5280 derives it."""
    identifier = extension(certificate, x509.SubjectKeyIdentifier)
    if identifier is None:
        identifier = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    return identifier.digest.hex()


def _require_authority(position: int, anchor: x509.Certificate) -> None:
    constraints = extension(anchor, x509.BasicConstraints)
    usage = extension(anchor, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise MaterialError(
            Fault.NOT_AN_AUTHORITY,
            f"{TRUST_ANCHORS}: certificate {position} is not an authority; list CA certificates only"
            " (basicConstraints CA:TRUE, keyUsage keyCertSign)",
        )
    usages = extension(anchor, x509.ExtendedKeyUsage)
    if usages is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise MaterialError(
            Fault.NOT_AN_AUTHORITY,
            f"{TRUST_ANCHORS}: certificate {position} is not an authority for clients; its extendedKeyUsage"
            " needs clientAuth, or is left out",
        )


def _require_strength(position: int, anchor: x509.Certificate) -> None:
    key = anchor.public_key()
    if isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        kind, least = ("RSA", MIN_RSA_BITS) if isinstance(key, RSAPublicKey) else ("EC", MIN_EC_BITS)
        if key.key_size < least:
            raise MaterialError(
                Fault.WEAK_AUTHORITY,
                f"{TRUST_ANCHORS}: certificate {position} has a key of {key.key_size} bits ({kind}), so every"
                f" client of that authority would be refused; make it again with {least} or more",
            )


def _require_strict(position: int, anchor: x509.Certificate) -> None:
    """VERIFY_X509_STRICT asks for what the CA of many a tutorial lacks (RFC 5280 §4.1.2.6, §4.2.1)."""
    critical = {type(one.value) for one in anchor.extensions if one.critical}
    rules = {
        "lacks keyUsage": extension(anchor, x509.KeyUsage) is None,
        "lacks subjectKeyIdentifier": extension(anchor, x509.SubjectKeyIdentifier) is None,
        "lacks a subject": not anchor.subject.rdns,
        "has basicConstraints that are not critical": x509.BasicConstraints not in critical,
        "has a key identifier that is critical": critical & _IDENTIFIERS,
    }
    broken = [words for words, is_broken in rules.items() if is_broken]
    if broken:
        raise MaterialError(
            Fault.NOT_STRICT,
            f"{TRUST_ANCHORS}: certificate {position} {' and '.join(broken)}, so every client of that"
            " authority would be refused; make it again without that fault, or turn x509Strict off"
            " (--no-x509-strict)",
        )
