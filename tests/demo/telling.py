"""What a person reads, in the order in which it happens."""

import shlex
import sys
from collections.abc import Sequence

from rich.console import Console

_console = Console(file=sys.stdout, highlight=False, soft_wrap=True, markup=False, emoji=False)


def heading(text: str) -> None:
    _console.print(f"\n{text}", style="bold")
    sys.stdout.flush()


def say(text: str = "") -> None:
    _console.print(text)
    sys.stdout.flush()


def command(words: Sequence[str]) -> None:
    """Show a command as one would type it."""
    _console.print(f"$ {shlex.join(words)}", style="cyan")
    sys.stdout.flush()
