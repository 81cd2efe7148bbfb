from datetime import timedelta

import pytest

from mtls_operator.api import durations


@pytest.mark.parametrize(
    ("spelled", "seconds"),
    [
        ("60s", 60),
        ("24h", 86_400),
        ("90m", 5_400),
        ("1h30m", 5_400),
        ("30m1h", 5_400),
        ("1m1m", 120),
        ("0h", 0),
    ],
)
def test_parts_of_a_duration_add_up(spelled: str, seconds: int) -> None:
    assert durations.seconds(spelled) == seconds
    assert durations.parse(spelled) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "spelled", ["", "1d", "24", "-1h", "1.5h", "1h 30m", "1H", "9999999h", "1h\n", "٣h", "1s" * 11]
)
def test_anything_else_is_refused_with_an_example(spelled: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write one such as 24h"):
        durations.seconds(spelled)


def test_longest_duration_fits_into_292_years() -> None:
    longest = durations.parse("999999h999999h99999h")
    assert longest < timedelta(seconds=2**63 // 10**9)


@pytest.mark.parametrize(
    ("duration", "spelled"),
    [
        (timedelta(days=30), "720h"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(hours=1, seconds=1), "1h1s"),
        (timedelta(seconds=59, milliseconds=900), "59s"),
        (timedelta(), "0s"),
    ],
)
def test_a_duration_is_spelled_like_a_user_would(duration: timedelta, spelled: str) -> None:
    assert durations.spell(duration) == spelled
