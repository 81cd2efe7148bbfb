import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], *, seconds: float, every: float = 0.1) -> T:
    """Look again and again; return the first thing seen, or fail once the time is up."""
    began = time.monotonic()
    while not (seen := look()):
        elapsed = time.monotonic() - began
        assert elapsed < seconds, f"{what}: not within {seconds:g} s"
        time.sleep(every)
    return seen


def holds_for(what: str, look: Callable[[], bool], *, seconds: float, every: float = 0.25) -> None:
    """Fail if it does not hold at some moment of that time."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        assert look(), f"{what}: no longer so after {elapsed:.1f} s"
        time.sleep(every)
