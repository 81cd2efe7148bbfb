from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.leaf import issue_leaf
from mtls_operator.pki.renewal import (
    last_moment,
    renewal_time,
    rotation_time,
    succession_time,
    would_outlive,
)
from tests.unit.pki.samples import (
    DAY,
    ED25519,
    ENTROPY,
    HOUR,
    MINUTE,
    MONTH,
    NOW,
    SECOND,
    authority,
    leaf,
    profile,
)

YEAR = 365 * DAY
ISSUER = authority(duration=10 * YEAR)
UID = "7f4a9a4c-6a5e-4f0c-9d55-2f1f6f0c3c11"


@pytest.mark.parametrize(
    ("duration", "renew_before", "earliest", "latest"),
    [
        (MINUTE, 30 * SECOND, 30 * SECOND, 33 * SECOND),
        (DAY, 12 * HOUR, 12 * HOUR, 13 * HOUR + 12 * MINUTE),
        (MONTH, 10 * DAY, 20 * DAY, 21 * DAY),
        (DAY, DAY, 144 * MINUTE, 144 * MINUTE + 129 * MINUTE + 36 * SECOND),
        (DAY, 100 * YEAR, 144 * MINUTE, 144 * MINUTE + 129 * MINUTE + 36 * SECOND),
        (MINUTE, HOUR, 6 * SECOND, 12 * SECOND),
        (DAY, timedelta(), DAY - 5 * MINUTE, DAY - 4 * MINUTE),
        (MINUTE, SECOND, 54 * SECOND, 55 * SECOND),
    ],
    ids=[
        "60 s, half",
        "a day, half",
        "a month, a third",
        "as long as it holds",
        "huge",
        "huge for 60 s",
        "none",
        "too little for 60 s",
    ],
)
def test_renewal_is_so_long_before_the_end_or_a_tenth_of_that_later(
    duration: timedelta, renew_before: timedelta, earliest: timedelta, latest: timedelta
) -> None:
    issued_at = NOW.replace(microsecond=0)
    certificates = [leaf(ISSUER, duration, key=ED25519).certificate for _ in range(100)]
    renewals = [renewal_time(certificate, duration, renew_before, UID) for certificate in certificates]
    assert issued_at + earliest <= min(renewals)
    assert max(renewals) <= issued_at + latest


def test_where_a_certificate_begins_plays_no_role() -> None:
    same_serial = Entropy(key=ENTROPY.key, serial=lambda: 42)
    young = authority(duration=10 * YEAR, now=NOW + MINUTE)
    backdated, not_backdated = (
        issue_leaf(issuer, profile(), DAY, NOW, same_serial).certificate for issuer in (ISSUER, young)
    )
    assert backdated.not_valid_before_utc < not_backdated.not_valid_before_utc
    assert backdated.not_valid_after_utc == not_backdated.not_valid_after_utc
    assert renewal_time(backdated, DAY, HOUR, UID) == renewal_time(not_backdated, DAY, HOUR, UID)


def test_it_is_sampled_once_for_a_holder_and_a_serial() -> None:
    certificate = leaf(ISSUER).certificate
    holders = [f"{UID}-{number}" for number in range(100)]
    once = [renewal_time(certificate, DAY, 12 * HOUR, holder) for holder in holders]
    assert [renewal_time(certificate, DAY, 12 * HOUR, holder) for holder in holders] == once
    assert len(set(once)) > 90


def test_leaves_issued_together_are_renewed_evenly_over_the_whole_window() -> None:
    """Pearson's chi-squared over 24 slots of 3 minutes; 23 degrees of freedom exceed 59 once in 20,000."""
    issuer = authority(duration=10 * YEAR, key=ED25519)
    window_start = NOW.replace(microsecond=0) + 12 * HOUR
    slots = Counter(
        (renewal_time(leaf(issuer, DAY, key=ED25519).certificate, DAY, 12 * HOUR, UID) - window_start)
        // (3 * MINUTE)
        for _ in range(10_000)
    )
    expected = 10_000 / 24
    assert set(slots) == set(range(24))
    assert sum((count - expected) ** 2 / expected for count in slots.values()) < 59


@pytest.mark.parametrize(
    ("issued_at", "expiry"),
    [
        (datetime(2028, 2, 28, 12, tzinfo=UTC), datetime(2028, 2, 29, 12, tzinfo=UTC)),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), datetime(2028, 3, 1, 12, tzinfo=UTC)),
        (datetime(2027, 2, 28, 12, tzinfo=UTC), datetime(2027, 3, 1, 12, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, 23, 59, 59, tzinfo=UTC)),
    ],
    ids=["to a leap day", "from a leap day", "no leap year", "new year's eve"],
)
def test_a_day_is_24_hours_in_every_calendar(issued_at: datetime, expiry: datetime) -> None:
    certificate = leaf(authority(now=issued_at), DAY, now=issued_at).certificate
    assert certificate.not_valid_after_utc == expiry
    renewed = renewal_time(certificate, DAY, HOUR, UID)
    assert expiry - HOUR <= renewed <= expiry - HOUR + 6 * MINUTE


@pytest.mark.parametrize("month", [3, 10], ids=["clocks go forward", "clocks go back"])
def test_summer_time_plays_no_role(month: int) -> None:
    local = datetime(2026, month, 24, 23, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    certificate = leaf(authority(now=local, duration=MONTH), 7 * DAY, now=local).certificate
    assert certificate.not_valid_after_utc == local.astimezone(UTC) + 7 * DAY
    renewed = renewal_time(certificate, 7 * DAY, DAY, UID)
    assert renewed.tzinfo is UTC
    assert 6 * DAY <= renewed - local.astimezone(UTC) <= 6 * DAY + 144 * MINUTE


def test_it_is_a_whole_second() -> None:
    certificates = [leaf(ISSUER, MINUTE).certificate for _ in range(20)]
    assert all(renewal_time(each, MINUTE, 30 * SECOND, UID).microsecond == 0 for each in certificates)


def test_a_new_leaf_outlives_one_that_was_issued_before() -> None:
    certificate = leaf(ISSUER, DAY).certificate
    assert not would_outlive(certificate, ISSUER, DAY, NOW)
    assert would_outlive(certificate, ISSUER, DAY, NOW + SECOND)
    assert not would_outlive(certificate, ISSUER, HOUR, NOW + HOUR)


def test_no_new_leaf_outlives_one_that_holds_as_long_as_its_authority() -> None:
    issuer = authority(duration=MONTH)
    cut_short = leaf(issuer, DAY, now=NOW + MONTH - HOUR).certificate
    assert not would_outlive(cut_short, issuer, DAY, NOW + MONTH - MINUTE)
    almost = leaf(issuer, DAY, now=NOW + MONTH - DAY - SECOND).certificate
    assert would_outlive(almost, issuer, DAY, NOW + MONTH - HOUR)


@pytest.mark.parametrize("skew", [-5 * MINUTE, 5 * MINUTE], ids=["behind", "ahead"])
def test_a_clock_that_is_wrong_by_minutes_moves_the_renewal_by_as_much_and_no_more(skew: timedelta) -> None:
    same_serial = Entropy(key=ENTROPY.key, serial=lambda: 42)
    right, wrong = (
        issue_leaf(ISSUER, profile(), DAY, moment, same_serial).certificate for moment in (NOW, NOW + skew)
    )
    assert renewal_time(wrong, DAY, HOUR, UID) - renewal_time(right, DAY, HOUR, UID) == skew
    assert renewal_time(wrong, DAY, HOUR, UID) < right.not_valid_after_utc


@pytest.mark.parametrize("duration", [MINUTE, 10 * MINUTE, DAY, YEAR])
def test_the_last_moment_is_after_every_renewal_and_before_the_end(duration: timedelta) -> None:
    certificate = leaf(ISSUER, duration, key=ED25519).certificate
    last = last_moment(certificate, duration)
    assert renewal_time(certificate, duration, timedelta(), UID) <= last + duration / 100
    assert last == certificate.not_valid_after_utc - min(5 * MINUTE, duration / 10)


def test_leaves_of_a_former_authority_are_replaced_evenly_over_a_quarter_of_the_longest() -> None:
    issuer = authority(duration=10 * YEAR, key=ED25519)
    slots = Counter(
        (succession_time(leaf(issuer, DAY, key=ED25519).certificate, NOW, DAY, UID) - NOW) // HOUR
        for _ in range(1200)
    )
    assert set(slots) == set(range(6))
    assert all(140 < count < 260 for count in slots.values())


@pytest.mark.parametrize("lead", [HOUR, 12 * DAY])
def test_authorities_of_one_service_rotate_apart(lead: timedelta) -> None:
    for _ in range(20):
        server, client = (authority(role, MONTH, key=ED25519) for role in ("server", "client"))
        times = rotation_time(server, lead, UID), rotation_time(client, lead, UID)
        assert times[0] - times[1] >= MONTH / 60
        assert all(NOW + MONTH / 3 < time <= NOW + MONTH - max(lead, MONTH / 3) for time in times)
