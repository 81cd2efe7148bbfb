"""The checks that mounted files must pass before they serve; pure, so each has its sentence and its test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls_server.authorization.policy import Authorisation
from mtls_server.contract import CERTIFICATE, POLICY, PRIVATE_KEY, TRUST_ANCHORS, decode_policy

Extension = TypeVar("Extension", bound=x509.ExtensionType)

FILES: Final = (CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS, POLICY)
MAX_CERTIFICATES: Final = 512
MIN_RSA_BITS: Final = 2048
MIN_EC_BITS: Final = 224
"""What OpenSSL's security level 2 demands, which is Python's."""
_IDENTIFIERS: Final = {x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier}


class Fault(StrEnum):
    """Why files are refused, as the metrics name it."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    KEY_MISMATCH = "key_mismatch"
    BROKEN_CHAIN = "broken_chain"
    NO_SERVER_AUTH = "no_server_auth"
    NAMES_NOT_COVERED = "names_not_covered"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    NOT_AN_AUTHORITY = "not_an_authority"
    WEAK_AUTHORITY = "weak_authority"
    NOT_STRICT = "not_strict"
    POLICY = "policy"
    TLS = "tls"


class MaterialError(Exception):
    """The files cannot serve; the message says why, and never what they contain."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class NotYetValidError(MaterialError):
    """The certificate's time has not come; the files are good from ``not_before`` on."""

    def __init__(self, not_before: datetime) -> None:
        super().__init__(
            Fault.NOT_YET_VALID, f"the certificate in {CERTIFICATE} is not valid before {not_before:%FT%TZ}"
        )
        self.not_before = not_before


@dataclass(frozen=True)
class Material:
    """The mounted files, parsed and found good."""

    chain: tuple[x509.Certificate, ...]
    """The served certificate and its intermediates, leaf first."""
    anchors: tuple[x509.Certificate, ...]
    authorisation: Authorisation

    @property
    def leaf(self) -> x509.Certificate:
        """The served certificate."""
        return self.chain[0]


def examine(files: Mapping[str, bytes], now: datetime, *, x509_strict: bool) -> Material:
    """Parse the mounted files and check that they can serve.

    Args:
        files: file name to contents.
        now: with time zone.
        x509_strict: whether the trust anchors must satisfy VERIFY_X509_STRICT.

    Raises:
        MaterialError: they cannot; nothing else is raised for any contents.
    """
    _require_files(files)
    chain = _certificates(CERTIFICATE, files[CERTIFICATE])
    _require_key(chain[0], files[PRIVATE_KEY])
    _require_chain(chain)
    _require_server_auth(chain[0])
    anchors = _certificates(TRUST_ANCHORS, files[TRUST_ANCHORS])
    for position, anchor in enumerate(anchors, 1):
        _require_authority(position, anchor)
        _require_strength(position, anchor)
        if x509_strict:
            _require_strict(position, anchor)
    authorisation = _authorisation(files[POLICY])
    _require_names(chain[0], authorisation.policy.server_names)
    _require_validity(chain, now)
    return Material(chain, anchors, authorisation)


def _require_files(files: Mapping[str, bytes]) -> None:
    missing = [name for name in FILES if not files.get(name)]
    if missing:
        raise MaterialError(Fault.MISSING, f"{', '.join(missing)}: missing or empty")


def _certificates(file: str, pem: bytes) -> tuple[x509.Certificate, ...]:
    try:
        certificates = tuple(x509.load_pem_x509_certificates(pem))
        for certificate in certificates:
            _ = certificate.extensions, certificate.public_key()
    except Exception:  # noqa: BLE001 - the parser raises errors of many kinds
        raise MaterialError(
            Fault.UNREADABLE, f"{file} does not hold PEM certificates that can be parsed"
        ) from None
    if len(certificates) > MAX_CERTIFICATES:
        raise MaterialError(
            Fault.UNREADABLE,
            f"{file} holds {len(certificates)} certificates; at most {MAX_CERTIFICATES} are read",
        )
    return certificates


def _require_key(leaf: x509.Certificate, pem: bytes) -> None:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise MaterialError(
            Fault.UNREADABLE, f"{PRIVATE_KEY} is encrypted; mount it without a passphrase"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise MaterialError(Fault.UNREADABLE, f"{PRIVATE_KEY} does not hold a PEM private key") from None
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise MaterialError(
            Fault.KEY_MISMATCH, f"{PRIVATE_KEY} is not the key of the first certificate in {CERTIFICATE}"
        )


def _require_chain(chain: Sequence[x509.Certificate]) -> None:
    for position, (certificate, issuer) in enumerate(pairwise(chain), 1):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise MaterialError(
                Fault.BROKEN_CHAIN,
                f"{CERTIFICATE}: certificate {position + 1} did not issue certificate {position};"
                " list the leaf first, then each issuer",
            ) from None


def _require_server_auth(leaf: x509.Certificate) -> None:
    usages = _extension(leaf, x509.ExtendedKeyUsage)
    if usages is None or ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        raise MaterialError(
            Fault.NO_SERVER_AUTH, f"the certificate in {CERTIFICATE} lacks the extended key usage serverAuth"
        )


def _require_names(leaf: x509.Certificate, required: Sequence[str]) -> None:
    names = _extension(leaf, x509.SubjectAlternativeName)
    carried = {name.lower() for name in names.get_values_for_type(x509.DNSName)} if names else set()
    uncovered = [name for name in required if not _covered(name.lower(), carried)]
    if uncovered:
        raise MaterialError(
            Fault.NAMES_NOT_COVERED,
            f"the certificate in {CERTIFICATE} lacks names that {POLICY} lists: {', '.join(uncovered)}",
        )


def _covered(name: str, carried: set[str]) -> bool:
    """RFC 9525 §6.3: a wildcard stands for the whole left-most label."""
    return name in carried or f"*.{name.partition('.')[2]}" in carried


def _require_validity(chain: Sequence[x509.Certificate], now: datetime) -> None:
    expired = [certificate for certificate in chain if certificate.not_valid_after_utc < now]
    if expired:
        raise MaterialError(
            Fault.EXPIRED,
            f"a certificate in {CERTIFICATE} expired at {expired[0].not_valid_after_utc:%FT%TZ}",
        )
    not_before = max(certificate.not_valid_before_utc for certificate in chain)
    if now < not_before:
        raise NotYetValidError(not_before)


def _require_authority(position: int, anchor: x509.Certificate) -> None:
    constraints = _extension(anchor, x509.BasicConstraints)
    usage = _extension(anchor, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise MaterialError(
            Fault.NOT_AN_AUTHORITY,
            f"{TRUST_ANCHORS}: certificate {position} is not an authority; list CA certificates only"
            " (basicConstraints CA:TRUE, keyUsage keyCertSign)",
        )
    usages = _extension(anchor, x509.ExtendedKeyUsage)
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
        "lacks keyUsage": _extension(anchor, x509.KeyUsage) is None,
        "lacks subjectKeyIdentifier": _extension(anchor, x509.SubjectKeyIdentifier) is None,
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


def _authorisation(document: bytes) -> Authorisation:
    try:
        return Authorisation.compile(decode_policy(document))
    except ValueError as error:
        raise MaterialError(Fault.POLICY, str(error)) from None


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
