"""When a leaf certificate is renewed, and an authority rotated."""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from .authority import Authority
from .leaf import leaf_validity

SAFETY: Final = timedelta(minutes=5)
"""Left for a renewal to succeed, of longer-lived leaves; of others, a tenth of their duration."""


def renewal_time(
    certificate: x509.Certificate, duration: timedelta, renew_before: timedelta, uid: str
) -> datetime:
    """Return when a leaf is renewed: `renew_before` its end, or up to a tenth of that later.

    How much later is decided by who holds it and by its serial, so that leaves issued together are not
    renewed together. Where a certificate begins plays no role: it is backdated. `renew_before` counts as at
    most nine tenths of `duration`, and at least `SAFETY` or a tenth of `duration`, whichever is less.

    Args:
        certificate: the leaf; one cut short by its authority's end may be due before it begins.
        duration: how long it was meant to hold.
        renew_before: how long before its end it shall be renewed.
        uid: of the object that it is issued for.

    Returns:
        A whole second, in UTC.
    """
    before = max(_safety(duration), min(renew_before, duration * 9 / 10))
    jitter = before / 10 * _fraction(certificate, uid)
    return (certificate.not_valid_after_utc - before + jitter).replace(microsecond=0)


def would_outlive(
    certificate: x509.Certificate, authority: Authority, duration: timedelta, now: datetime
) -> bool:
    """Tell whether a leaf signed now would end later than this one, which its authority's end may forbid."""
    return leaf_validity(authority, duration, now).not_after > certificate.not_valid_after_utc


def last_moment(certificate: x509.Certificate, duration: timedelta) -> datetime:
    """Return when a new leaf must be issued, whatever speaks against it, lest this one end first."""
    return certificate.not_valid_after_utc - _safety(duration)


def succession_time(certificate: x509.Certificate, since: datetime, longest: timedelta, uid: str) -> datetime:
    """Return when a leaf of a former authority is replaced by one of the authority that signs now.

    The leaves are spread over a quarter of the longest duration: both authorities are trusted for longer.

    Args:
        certificate: the leaf of the former authority.
        since: since when the authority signs.
        longest: duration of the longest leaf.
        uid: of the object that it is issued for.
    """
    return since + longest / 4 * _fraction(certificate, uid)


def rotation_time(authority: Authority, lead: timedelta, uid: str) -> datetime:
    """Return when the successor of an authority is prepared.

    It is a third of its life before its end, or earlier where more time is needed, and up to a tenth of its
    life earlier still: the server's by less than the client's, so that they do not rotate together.

    Args:
        authority: one of ours.
        lead: how long before the end the successor must be prepared.
        uid: of the service.
    """
    ends, life = authority.not_after, authority.not_after - authority.validity.not_before
    apart = 0.0 if authority.role == "server" else 0.6
    early = life / 10 * (apart + 0.4 * _fraction(authority.certificate, uid))
    return (ends - max(life / 3, lead) - early).replace(microsecond=0)


def _safety(duration: timedelta) -> timedelta:
    return min(SAFETY, duration / 10)


def _fraction(certificate: x509.Certificate, uid: str) -> float:
    """Map who holds it, and its serial, to a number that is at least 0 and less than 1, evenly."""
    seed = f"{uid}/{certificate.serial_number:x}"
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6]) / (1 << 48)
