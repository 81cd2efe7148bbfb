"""Can this CA of somebody else be trusted, or sign? An ordered chain of checks of one certificate."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mtls_operator.pki.authority import Role, is_issued_by
from mtls_operator.pki.extensions import extension
from mtls_operator.pki.leaf import USAGES

Check: TypeAlias = Callable[[x509.Certificate, Role], str | None]
"""Says what is wrong with the certificate of a CA for this role; None: nothing."""

_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_RSA_SIZES: Final = range(2048, 8193)
"""Bits; a larger key makes every handshake slow."""
_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
_UNDERSTOOD: Final = (
    x509.AuthorityKeyIdentifier,
    x509.BasicConstraints,
    x509.CertificatePolicies,
    x509.CRLDistributionPoints,
    x509.ExtendedKeyUsage,
    x509.InhibitAnyPolicy,
    x509.IssuerAlternativeName,
    x509.KeyUsage,
    x509.NameConstraints,
    x509.PolicyConstraints,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
)
"""What OpenSSL heeds, or may leave aside, where it is critical."""


def flaw(certificate: x509.Certificate, role: Role, *, strict: bool) -> str | None:
    """Say why a CA can not be relied on; None: it can.

    Args:
        certificate: of the CA.
        role: what the leaves below it are for.
        strict: whether the rules of OpenSSL's X509_V_FLAG_X509_STRICT count, which are those of RFC 5280.

    Returns:
        The first rule that is broken, as a phrase that follows a name of the certificate.
    """
    checks: Sequence[Check] = (*CHECKS, *STRICT_CHECKS) if strict else CHECKS
    return next(filter(None, (check(certificate, role) for check in checks)), None)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Tell whether a chain ends here."""
    return certificate.subject == certificate.issuer and is_issued_by(certificate, certificate)


def not_a_ca(certificate: x509.Certificate, _: Role) -> str | None:
    """A leaf, however it is trusted, signs nobody."""
    constraints = extension(certificate, x509.BasicConstraints)
    return (
        None if constraints and constraints.ca else "is not that of a CA: it needs basicConstraints CA:TRUE"
    )


def may_not_sign(certificate: x509.Certificate, _: Role) -> str | None:
    """A key usage, where there is one, includes the signing of certificates."""
    usage = extension(certificate, x509.KeyUsage)
    if usage is None or usage.key_cert_sign:
        return None
    return "may not sign certificates: its keyUsage needs keyCertSign"


def other_usage(certificate: x509.Certificate, role: Role) -> str | None:
    """An extended key usage of a CA limits what is below it; OpenSSL takes `any` for none of them."""
    usages = extension(certificate, x509.ExtendedKeyUsage)
    if usages is None or USAGES[role] in usages:
        return None
    return f"is not meant for {role}s: its extendedKeyUsage needs {role}Auth, or is left out"


def odd_key(certificate: x509.Certificate, _: Role) -> str | None:
    """Every verifier that we support knows the kind of key, and its size is neither weak nor absurd."""
    key = certificate.public_key()
    match key:
        case RSAPublicKey() if key.key_size in _RSA_SIZES:
            return None
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return None
        case Ed25519PublicKey():
            return None
        case RSAPublicKey():
            return f"has an RSA key of {key.key_size} bits: it needs 2048 to 8192"
        case _:
            return "has a key of another kind than RSA, ECDSA on P-256, P-384 or P-521, or Ed25519"


def odd_signature(certificate: x509.Certificate, _: Role) -> str | None:
    """It is signed over a hash that holds; Ed25519 has one of its own."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "is signed by an unknown algorithm: SHA-256, SHA-384 and SHA-512 are accepted"
    if algorithm is None or algorithm.name in _HASHES:
        return None
    return f"is signed over {algorithm.name.upper()}: SHA-256, SHA-384 and SHA-512 are accepted"


def unknown_demand(certificate: x509.Certificate, _: Role) -> str | None:
    """A critical extension that a verifier does not know makes it refuse the chain (RFC 5280, 4.2)."""
    for found in certificate.extensions:
        if found.critical and not isinstance(found.value, _UNDERSTOOD):
            return f"has a critical extension that verifiers do not know: {found.oid.dotted_string}"
    return None


def constraints_not_critical(certificate: x509.Certificate, _: Role) -> str | None:
    """RFC 5280, 4.2.1.9."""
    found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    return None if found.critical else "has basicConstraints that are not critical"


def no_key_usage(certificate: x509.Certificate, _: Role) -> str | None:
    """RFC 5280, 4.2.1.3."""
    return None if extension(certificate, x509.KeyUsage) else "has no keyUsage: it needs critical,keyCertSign"


def no_subject_key_identifier(certificate: x509.Certificate, _: Role) -> str | None:
    """RFC 5280, 4.2.1.2."""
    return None if extension(certificate, x509.SubjectKeyIdentifier) else "has no subjectKeyIdentifier"


def no_authority_key_identifier(certificate: x509.Certificate, _: Role) -> str | None:
    """RFC 5280, 4.2.1.1: of what is not self-signed."""
    identifier = extension(certificate, x509.AuthorityKeyIdentifier)
    if (identifier and identifier.key_identifier) or is_self_signed(certificate):
        return None
    return "has no authorityKeyIdentifier with the keyid of its issuer"


def critical_identifier(certificate: x509.Certificate, _: Role) -> str | None:
    """RFC 5280, 4.2.1.1 and 4.2.1.2."""
    for found in certificate.extensions:
        if found.critical and isinstance(
            found.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier
        ):
            return "has a key identifier that is critical"
    return None


def no_name(certificate: x509.Certificate, _: Role) -> str | None:
    """RFC 5280, 4.1.2.4 and 4.1.2.6."""
    return None if list(certificate.subject) and list(certificate.issuer) else "has no subject or no issuer"


CHECKS: Final[tuple[Check, ...]] = (
    not_a_ca,
    may_not_sign,
    other_usage,
    odd_key,
    odd_signature,
    unknown_demand,
)
"""In the order in which flaws are told."""
STRICT_CHECKS: Final[tuple[Check, ...]] = (
    constraints_not_critical,
    no_key_usage,
    no_subject_key_identifier,
    no_authority_key_identifier,
    critical_identifier,
    no_name,
)
"""What OpenSSL demands beyond when it is told to be strict."""
