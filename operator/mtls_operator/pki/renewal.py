"""When a leaf certificate is renewed."""

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
    longest, shortest = duration * 9 / 10, min(SAFETY, duration / 10)
    before = max(shortest, min(renew_before, longest))
    jitter = before / 10 * _fraction(f"{uid}/{certificate.serial_number:x}")
    return (certificate.not_valid_after_utc - before + jitter).replace(microsecond=0)


def would_outlive(
    certificate: x509.Certificate, authority: Authority, duration: timedelta, now: datetime
) -> bool:
    """Tell whether a leaf signed now would end later than this one, which its authority's end may forbid."""
    return leaf_validity(authority, duration, now).not_after > certificate.not_valid_after_utc


def _fraction(seed: str) -> float:
    """Map text to a number that is at least 0 and less than 1, evenly."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6]) / (1 << 48)
