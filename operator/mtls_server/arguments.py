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


def seconds(text: str) -> float:
    """Read a duration.

    Raises:
        ArgumentTypeError: it is none.
    """
    with suppress(ValueError):
        if 0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no duration; write a number of seconds, such as 2.5")
