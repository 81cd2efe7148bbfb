import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_console = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show one line for a step, with the seconds it took once it has ended."""
    began = time.monotonic()
    outcome = "failed"
    try:
        if _console.is_terminal:
            columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
            with Progress(*columns, console=_console, transient=True) as progress:
                progress.add_task(f"{what} …", total=None)
                yield
        else:
            sys.stderr.write(f"{what} … ")
            sys.stderr.flush()
            yield
        outcome = "done"
    finally:
        elapsed = f"{outcome}, {time.monotonic() - began:.1f} s"
        _console.print(f"{what} … {elapsed}" if _console.is_terminal else elapsed, markup=False)
