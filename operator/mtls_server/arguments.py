"""Values on the command line."""

import argparse
from contextlib import suppress


def port(text: str) -> int:
    """Read a port number.

    Raises:
        ArgumentTypeError: it is none.
    """
    if text.isascii() and text.isdigit() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 0 (any free one) to 65535")


def count(text: str) -> int:
    """Read how many there shall be.

    Raises:
        ArgumentTypeError: it is no number from 1 to 10000.
    """
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no count; write a number from 1 to 10000")


def seconds(text: str) -> float:
    """Read a duration.

    Raises:
        ArgumentTypeError: it is none.
    """
    with suppress(ValueError):
        if 0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no duration; write a number of seconds, such as 2.5")


def timeout(text: str) -> float:
    """Read a duration that something may take.

    Raises:
        ArgumentTypeError: it is none, or nothing.
    """
    value = seconds(text)
    if value:
        return value
    raise argparse.ArgumentTypeError("a timeout of nothing lets no request pass; write 1 or more")
