"""The private authorities of a service: one signs its servers, the other its clients."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import pairwise
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from .bundle import decode_bundle, encode_bundle
from .entropy import Entropy
from .extensions import extension
from .keys import DEFAULT_KEY, PrivateKey, decode_key, encode_key, signing_hash
from .validity import Validity, backdating_of

Role = Literal["server", "client"]
"""What a certificate is for, and so which authority signs it."""

MAX_COMMON_NAME: Final = 64
"""Upper bound of X.520, which OpenSSL, and others, enforce."""

MAX_CHAIN: Final = 8
"""Most certificates of an authority: its own, and those above it."""

_KEY_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate and its key, which match."""

    role: Role
    certificate: x509.Certificate
    key: PrivateKey
    issuers: tuple[x509.Certificate, ...] = ()
    """Those above the certificate, nearest first, up to a self-signed root; empty: it is one itself."""

    @property
    def key_id(self) -> str:
        """Return the subject key identifier in lower-case hex."""
        extension = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return extension.value.digest.hex()

    @property
    def spki_digest(self) -> str:
        """Return the SHA-256 of the public key (SPKI, DER) in lower-case hex."""
        return spki_digest(self.certificate)

    @property
    def root(self) -> x509.Certificate:
        """Return the self-signed certificate with which its chain ends."""
        return self.certificates[-1]

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Return its certificate and those above it."""
        return (self.certificate, *self.issuers)

    @property
    def anchor(self) -> x509.Certificate:
        """Return what verifiers trust: callers the root above servers, servers exactly the CA of callers.

        With only a root trusted, a leaf of each sibling of an intermediate would pass, too.
        """
        return self.root if self.role == "server" else self.certificate

    @property
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        """Return what is shown with a leaf to those who know only the root."""
        return self.certificates[:-1]

    @property
    def validity(self) -> Validity:
        """Return when what it signs can hold: while all of its chain does."""
        chain = [Validity.of(certificate) for certificate in self.certificates]
        return reduce(Validity.within, chain)

    @property
    def not_after(self) -> datetime:
        """Return the last moment at which it, and what it signed, holds."""
        return self.validity.not_after


def issue_authority(
    role: Role, service: str, duration: timedelta, now: datetime, entropy: Entropy
) -> Authority:
    """Make a self-signed authority that may sign leaves, but no further authority.

    Args:
        role: what its leaves are for.
        service: ``<namespace>/<name>``, for people who read the subject.
        duration: how long it holds from now.
        now: the time.
        entropy: source of its key and serial.
    """
    key = entropy.key(DEFAULT_KEY)
    serial = entropy.serial()
    subject = _subject(role, service, serial)
    validity = Validity.starting(now, duration)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), serial)
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, signing_hash(key))
    )
    return Authority(role, certificate, key)


def was_issued_for(certificate: x509.Certificate, duration: timedelta) -> bool:
    """Tell from its dates, which are whole seconds, whether an authority of ours was to hold this long."""
    holds = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return abs(holds - duration - backdating_of(duration)) <= timedelta(seconds=1)


def encode_authority(authority: Authority) -> tuple[bytes, bytes]:
    """Write its certificates, its own first, and its key in PEM."""
    return encode_bundle(authority.certificates), encode_key(authority.key)


def decode_authority(role: Role, crt: bytes, key: bytes) -> Authority:
    """Read an authority; whether it still holds is not looked at.

    Args:
        role: what its leaves are for.
        crt: its certificate in PEM, and then those above it.
        key: its private key in PEM.

    Raises:
        ValueError: unreadable, not a CA that may sign certificates, or two that do not match; says which.
    """
    certificate, *issuers = decode_bundle(crt, limit=MAX_CHAIN)
    # Whoever stored the key proved its primes, or made it.
    authority = Authority(role, certificate, decode_key(key, prove_primes=False), tuple(issuers))
    if authority.key.public_key() != certificate.public_key():
        msg = "the private key does not belong to the certificate; store the two that were made together"
        raise ValueError(msg)
    _require_ca(certificate)
    for below, above in pairwise([certificate, *issuers]):
        if not is_issued_by(below, above):
            msg = "a certificate did not sign the one before it; store the chain in that order"
            raise ValueError(msg)
    return authority


def spki_digest(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the public key (SPKI, DER) in lower-case hex."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether the issuer has the name that the certificate gives, and its key signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _require_ca(certificate: x509.Certificate) -> None:
    constraints = extension(certificate, x509.BasicConstraints)
    usage = extension(certificate, x509.KeyUsage)
    identifier = extension(certificate, x509.SubjectKeyIdentifier)
    if not (constraints and constraints.ca and usage and usage.key_cert_sign and identifier):
        msg = (
            "the certificate is not one of a CA; it needs basic constraints CA:TRUE, "
            "key usage Certificate Sign, and a subject key identifier"
        )
        raise ValueError(msg)


def _subject(role: Role, service: str, serial: int) -> x509.Name:
    """Name a generation of an authority.

    Unique, since verifiers try every anchor with the issuer's name, and Go gives up after a hundred
    signatures.
    """
    generation = f"{serial & 0xFFFFFFFF:08x}"
    title = f"{role} authority of {service}"[: MAX_COMMON_NAME - len(generation) - 1]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "mtls-operator"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{title} {generation}"),
        ]
    )
