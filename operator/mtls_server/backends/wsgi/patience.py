"""How long a caller may keep a thread waiting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

BYTES_PER_SECOND: Final = 500
"""A caller is not too slow that sends or takes so many; mod_reqtimeout of Apache httpd asks for as many."""


class SlowCallerError(TimeoutError):
    """The caller sends its request, or takes its response, too slowly for a thread to wait."""

    def __init__(self) -> None:
        super().__init__("the caller is too slow for a thread to wait any longer")


class Patience:
    """Some seconds for a request and its response; each so many bytes that pass give one of those spent back.

    A thread waits; what passes is noted on the event loop.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._left = seconds
        self._passed = 0
        self._credited = 0

    def note(self, count: int) -> None:
        """Note that so many bytes have passed."""
        self._passed += count

    @contextmanager
    def waiting(self, expected: int = 0) -> Iterator[float]:
        """Count the time that is spent, and yield how much may be, in seconds.

        Args:
            expected: bytes that are passing already.

        Raises:
            SlowCallerError: there is no time left.
        """
        credit, self._credited = self._passed - self._credited, self._passed
        self._left = min(self._seconds, self._left + credit / BYTES_PER_SECOND)
        if self._left <= 0:
            raise SlowCallerError
        begun = self._clock()
        try:
            yield self._left + expected / BYTES_PER_SECOND
        finally:
            self._left -= self._clock() - begun
