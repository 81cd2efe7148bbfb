"""Why is this certificate re-issued? An ordered chain of pure checks gives the one answer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from cryptography import x509

from mtls_operator.api.names import ANNOTATION_REISSUE
from mtls_operator.pki.authority import Authority, is_issued_by
from mtls_operator.pki.bundle import decode_bundle
from mtls_operator.pki.extensions import extension
from mtls_operator.pki.keys import PrivateKey, decode_key
from mtls_operator.pki.leaf import LeafProfile, leaf_validity
from mtls_operator.pki.renewal import renewal_time, succession_time, would_outlive
from mtls_operator.pki.validity import rfc3339
from mtls_server.contract import CERTIFICATE, PRIVATE_KEY

from .differences import common_name, duration_difference, profile_differences

Reason = Literal[
    "Missing",
    "Malformed",
    "KeyMismatch",
    "WrongAuthority",
    "ProfileChanged",
    "Revoked",
    "Requested",
    "NotYetValid",
    "Expired",
    "RenewalDue",
]

MAX_CHAIN: Final = 8
"""Most certificates read from ``tls.crt``: the leaf and intermediates."""
MAX_QUOTED: Final = 63
"""Most characters of other people's text in a message."""


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf as its Secret holds it, in whatever state that is."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    duration: str | None = None
    """The annotation: how many seconds it was made for."""
    requested: str = ""
    """The annotation: the request for re-issue that it was made under."""


@dataclass(frozen=True, slots=True)
class LeafInput:
    """A leaf as it is stored, and what is wanted of it now."""

    stored: StoredLeaf | None
    profile: LeafProfile
    authority: Authority
    """Who would sign a new one."""
    duration: timedelta
    renew_before: timedelta
    requested: str
    """A person's request for re-issue; empty: none."""
    uid: str
    """Of the object that the leaf is issued for."""
    now: datetime
    former: Sequence[x509.Certificate] = ()
    """Authorities that signed before; their leaves are replaced one after the other."""
    since: datetime | None = None
    """Since when the authority signs; None: not yet, and leaves of former ones stay."""
    longest: timedelta = timedelta()
    """The longest leaf that it signs."""
    not_before: datetime | None = None
    """What began before is revoked."""


@dataclass(frozen=True, slots=True)
class ParsedLeaf:
    """A stored leaf that could be read."""

    certificate: x509.Certificate
    key: PrivateKey
    duration: str | None
    requested: str


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a leaf must be issued again: a word for machines, a sentence for people."""

    reason: Reason
    message: str


Check: TypeAlias = Callable[[ParsedLeaf, LeafInput], Violation | None]


def key_mismatch(leaf: ParsedLeaf, _: LeafInput) -> Violation | None:
    """The private key is the certificate's own."""
    if leaf.key.public_key() == leaf.certificate.public_key():
        return None
    return Violation("KeyMismatch", f"{PRIVATE_KEY} is not the private key of {CERTIFICATE}.")


def wrong_authority(leaf: ParsedLeaf, wanted: LeafInput) -> Violation | None:
    """The authority signed it, as identifiers say and the signature proves, or a former one not long ago."""
    if _may_stay(leaf.certificate, wanted):
        return None
    authority = common_name(wanted.authority.certificate.subject)
    if _authority_key_id(leaf.certificate) != wanted.authority.key_id:
        issuer = common_name(leaf.certificate.issuer)[:MAX_QUOTED]
        return Violation(
            "WrongAuthority", f"The certificate was signed by {issuer!r}; {authority!r} signs now."
        )
    if is_issued_by(leaf.certificate, wanted.authority.certificate):
        return None
    return Violation("WrongAuthority", f"The certificate does not bear the signature of {authority!r}.")


def profile_changed(leaf: ParsedLeaf, wanted: LeafInput) -> Violation | None:
    """It says of its holder what is wanted, and was made for the duration that is wanted."""
    differences = [
        *profile_differences(leaf.certificate, leaf.key, wanted.profile),
        *duration_difference(leaf.duration, wanted.duration),
    ]
    if not differences:
        return None
    return Violation(
        "ProfileChanged", f"The certificate differs from what is wanted: {'; '.join(differences)}."
    )


def revoked(leaf: ParsedLeaf, wanted: LeafInput) -> Violation | None:
    """It began after its holder was last revoked."""
    if wanted.not_before is None or leaf.certificate.not_valid_before_utc >= wanted.not_before:
        return None
    return Violation(
        "Revoked", f"What was issued to its holder before {rfc3339(wanted.not_before)} is revoked."
    )


def requested(leaf: ParsedLeaf, wanted: LeafInput) -> Violation | None:
    """A person can ask for a new one, once with each value."""
    if wanted.requested in {"", leaf.requested}:
        return None
    return Violation(
        "Requested",
        f"The annotation {ANNOTATION_REISSUE} asks for it with {wanted.requested[:MAX_QUOTED]!r}.",
    )


def not_yet_valid(leaf: ParsedLeaf, wanted: LeafInput) -> Violation | None:
    """It holds already, or no new one would sooner; else our clock was ahead when it was issued."""
    begins = leaf.certificate.not_valid_before_utc
    validity = leaf_validity(wanted.authority, wanted.duration, wanted.now, wanted.not_before)
    if begins <= max(wanted.now, validity.not_before):
        return None
    return Violation("NotYetValid", f"The certificate does not hold before {rfc3339(begins)}.")


def expired(leaf: ParsedLeaf, wanted: LeafInput) -> Violation | None:
    """It still holds for more than its last second."""
    ends = leaf.certificate.not_valid_after_utc
    if wanted.now < ends:
        return None
    return Violation("Expired", f"The certificate expired at {rfc3339(ends)}.")


def renewal_due(leaf: ParsedLeaf, wanted: LeafInput) -> Violation | None:
    """Its renewal time has not come, or its authority's end would cut a new one as short."""
    due = renewal_time(leaf.certificate, wanted.duration, wanted.renew_before, wanted.uid)
    if wanted.now < due or not would_outlive(leaf.certificate, wanted.authority, wanted.duration, wanted.now):
        return None
    ends = leaf.certificate.not_valid_after_utc
    return Violation(
        "RenewalDue", f"The certificate expires at {rfc3339(ends)}; renewal is due since {rfc3339(due)}."
    )


CHECKS: Final[tuple[Check, ...]] = (
    key_mismatch,
    wrong_authority,
    profile_changed,
    revoked,
    requested,
    not_yet_valid,
    expired,
    renewal_due,
)
"""In the order in which reasons are told."""


def evaluate(leaf: LeafInput, checks: Sequence[Check] = CHECKS) -> Violation | None:
    """Say why a leaf must be issued again; None: it is good as it is.

    Whatever is stored, it is judged: unreadable is a reason, not an error.
    """
    if leaf.stored is None:
        return Violation("Missing", "There is no certificate yet.")
    try:
        parsed = _parse(leaf.stored)
    except ValueError as error:
        return Violation("Malformed", f"The stored certificate is damaged: {error}.")
    return next(filter(None, (check(parsed, leaf) for check in checks)), None)


def _may_stay(certificate: x509.Certificate, wanted: LeafInput) -> bool:
    """Whether a former authority signed it, and it is not yet its turn to be replaced."""
    if not any(is_issued_by(certificate, former) for former in wanted.former):
        return False
    return wanted.since is None or wanted.now < succession_time(
        certificate, wanted.since, wanted.longest, wanted.uid
    )


def _parse(stored: StoredLeaf) -> ParsedLeaf:
    with _naming(CERTIFICATE):
        certificate, *_ = decode_bundle(stored.certificate_pem, MAX_CHAIN)
    with _naming(PRIVATE_KEY):
        key = decode_key(stored.key_pem, prove_primes=False)  # its certificate must be one that we signed
    return ParsedLeaf(certificate, key, stored.duration, stored.requested)


@contextmanager
def _naming(file: str) -> Iterator[None]:
    """Say which file a ValueError is about."""
    try:
        yield
    except ValueError as error:
        msg = f"{file}: {error}"
        raise ValueError(msg) from None


def _authority_key_id(certificate: x509.Certificate) -> str | None:
    identifiers = extension(certificate, x509.AuthorityKeyIdentifier)
    return identifiers.key_identifier.hex() if identifiers and identifiers.key_identifier else None
