"""The checks that mounted files must pass before they serve; pure, so each has its sentence and its test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls_server.authorization.policy import Authorisation
from mtls_server.contract import CERTIFICATE, POLICY, PRIVATE_KEY, TRUST_ANCHORS, decode_policy
from mtls_server.files.anchors import Anchors, read_anchors
from mtls_server.files.certificates import extension, read_certificates
from mtls_server.files.faults import Fault, MaterialError, NotYetValidError

FILES: Final = (CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS, POLICY)


@dataclass(frozen=True)
class Material:
    """The mounted files, parsed and found good."""

    chain: tuple[x509.Certificate, ...]
    """The served certificate and its intermediates, leaf first."""
    anchors: Anchors
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
    chain = read_certificates(CERTIFICATE, files[CERTIFICATE])
    _require_key(chain[0], files[PRIVATE_KEY])
    _require_chain(chain)
    _require_server_auth(chain[0])
    anchors = read_anchors(files[TRUST_ANCHORS], x509_strict=x509_strict)
    authorisation = _authorisation(files[POLICY])
    _require_names(chain[0], authorisation.policy.server_names)
    _require_validity(chain, now)
    return Material(chain, anchors, authorisation)


def _require_files(files: Mapping[str, bytes]) -> None:
    missing = [name for name in FILES if not files.get(name)]
    if missing:
        raise MaterialError(Fault.MISSING, f"{', '.join(missing)}: missing or empty")


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
    usages = extension(leaf, x509.ExtendedKeyUsage)
    if usages is None or ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        raise MaterialError(
            Fault.NO_SERVER_AUTH, f"the certificate in {CERTIFICATE} lacks the extended key usage serverAuth"
        )


def _require_names(leaf: x509.Certificate, required: Sequence[str]) -> None:
    names = extension(leaf, x509.SubjectAlternativeName)
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


@lru_cache(1)
def _authorisation(document: bytes) -> Authorisation:
    """Compile a policy; many deliveries leave it as it is, so the last one is remembered."""
    try:
        return Authorisation.compile(decode_policy(document))
    except ValueError as error:
        raise MaterialError(Fault.POLICY, str(error)) from None
