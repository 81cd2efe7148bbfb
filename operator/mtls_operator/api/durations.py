"""Durations as users write them: hours, minutes and seconds, such as ``24h``, ``90m`` or ``1h30m``."""

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = "^([0-9]{1,6}(h|m|s))+$"
"""Six digits a part and `MAX_LENGTH` keep every duration within the 292 years of CEL's ``duration()``."""
MAX_LENGTH: Final = 20

_PART: Final = re.compile("([0-9]{1,6})([hms])")
_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """Return a duration in seconds; parts add up, in any order.

    Raises:
        ValueError: not a duration of hours, minutes and seconds.
    """
    if len(duration) > MAX_LENGTH or not re.fullmatch(PATTERN, duration):
        msg = f"{duration[:MAX_LENGTH]!r} is no duration; write one such as 24h, 90m or 1h30m"
        raise ValueError(msg)
    return sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(duration))


def parse(duration: str) -> timedelta:
    """Return a duration as a timedelta.

    Raises:
        ValueError: as `seconds` does.
    """
    return timedelta(seconds=seconds(duration))


def spell(duration: timedelta) -> str:
    """Write a duration the way a user would: ``1h30m``; below a second, ``0s``."""
    total = int(duration.total_seconds())
    parts = []
    for unit, size in _SECONDS.items():
        count, total = divmod(total, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
