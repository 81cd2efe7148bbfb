"""What is fuzzed: a function that takes any bytes, and raises only where the server has a bug."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Mutate = Callable[[bytes, int, int], bytes]
"""Makes an input of another one, of so many bytes at most, by a random number."""


@dataclass(frozen=True)
class Target:
    """One thing that hostile bytes reach."""

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    """Inputs that go deep, from which the search begins."""
    words: Sequence[bytes] = ()
    """Pieces that have a meaning there."""
    max_bytes: int = 4096
    mutate: Mutate | None = None
    """Where flipped bits rarely make a good input."""
