"""Spread many writes over time, so that the API server meets no herd."""

import asyncio
import time
from collections.abc import Awaitable, Callable

RATE = 100.0
"""Secrets of clients written a second, of all services together: an eighth of a core of the API server."""
BURST = 100
"""How many may be written at once after a rest."""


class Pace:
    """Lets a burst through, then so many a second; the others wait their turn, in the order they came."""

    def __init__(
        self,
        rate: float = RATE,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / rate
        self._tolerance = (burst - 1) / rate
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        """When the next one would be due, were there no bursts (generic cell rate algorithm)."""

    async def turn(self) -> None:
        """Wait until it is one's turn."""
        now = self._clock()
        due = max(self._next, now)
        self._next = due + self._interval
        wait = due - self._tolerance - now
        if wait > 0:
            await self._sleep(wait)
