"""One timer for the deadlines of many that mostly end long before."""

import asyncio
from collections.abc import Collection
from math import inf
from typing import Protocol


class Limited(Protocol):
    """What must end in time."""

    @property
    def deadline(self) -> float:
        """Loop time; may only become later."""

    def expire(self) -> None:
        """End, as it is late, and leave the collection."""


class Patience:
    """Ends what is over its deadline."""

    def __init__(self, limited: Collection[Limited]) -> None:
        """Begin with what is in the collection, which may change at any time; tell of additions by `bear`."""
        self._loop = asyncio.get_running_loop()
        self._limited = limited
        self._next = inf
        self._timer: asyncio.TimerHandle | None = None

    def bear(self, deadline: float) -> None:
        """Look at the deadline at the latest."""
        if deadline < self._next:
            self.stop()
            self._next = deadline
            self._timer = self._loop.call_at(deadline, self._look)

    def stop(self) -> None:
        """Forget all deadlines that are known."""
        self._next = inf
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._next = inf
        now = self._loop.time()
        for late in [one for one in self._limited if one.deadline <= now]:
            late.expire()
        self.bear(min((one.deadline for one in self._limited), default=inf))
