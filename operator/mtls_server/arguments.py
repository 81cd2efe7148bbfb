"""Values on the command line, and in the environment of pods, whose command line is the operator's."""

import argparse
import os
from contextlib import suppress
from typing import Any, Final

YES: Final = {"1", "true", "yes"}


def variable(option: str) -> str:
    """Return the name of the variable of the environment that says what an option does not."""
    return f"MTLS_SERVER_{option.removeprefix('--').replace('-', '_').upper()}"


def add(
    parser: argparse.ArgumentParser,
    option: str,
    default: object = None,
    **given: Any,  # noqa: ANN401 - argparse's own
) -> None:
    """Add an option with a value, which the environment may say, to be read as on the command line."""
    parser.add_argument(option, default=os.environ.get(variable(option)) or default, **given)


def add_flag(parser: argparse.ArgumentParser, option: str, meaning: str) -> None:
    """Add an option without a value, which the environment may set, too."""
    is_set = os.environ.get(variable(option), "").lower() in YES
    parser.add_argument(option, action="store_true", default=is_set, help=meaning)


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
