"""When certificates begin and end to hold."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cryptography import x509

MAX_BACKDATING: Final = timedelta(seconds=60)
"""Clocks a little behind ours still accept a new certificate."""
SKEW: Final = timedelta(minutes=5)
"""By how much the clock of whoever wrote a moment may have been ahead; one that is later is not believed."""


@dataclass(frozen=True, slots=True)
class Validity:
    """Whole seconds in UTC, both ends included (RFC 5280, 4.1.2.5)."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def starting(cls, now: datetime, duration: timedelta) -> Self:
        """Hold from a little before now, by at most a tenth of the duration, until it is over."""
        start = now.astimezone(UTC)  # a sum in local time would count summer time's hour as none
        backdating = backdating_of(duration)
        return cls((start - backdating).replace(microsecond=0), (start + duration).replace(microsecond=0))

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """Read the dates of a certificate."""
        return cls(certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    def within(self, outer: Self) -> Self:
        """Cut off what lies outside of another validity."""
        return type(self)(max(self.not_before, outer.not_before), min(self.not_after, outer.not_after))


def backdating_of(duration: timedelta) -> timedelta:
    """Return how long before its issue a certificate of this duration begins."""
    return min(MAX_BACKDATING, duration / 10)


def rfc3339(moment: datetime) -> str:
    """Spell a moment in UTC, whole seconds, with ``Z``."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
