"""When each key is due next: one heap on the wall clock, so a clock jump is seen, not slept through."""

import heapq
from datetime import datetime, timedelta
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")


class Deadlines(Generic[KeyT]):
    """The next deadline of each key; setting one replaces the former."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, KeyT]] = []
        self._current: dict[KeyT, datetime] = {}

    def set(self, key: KeyT, when: datetime | None) -> None:
        """Replace the deadline of this key; None: it has none."""
        if when is None:
            self._current.pop(key, None)
        elif self._current.get(key) != when:
            self._current[key] = when
            heapq.heappush(self._heap, (when, key))

    def due(self, now: datetime) -> list[KeyT]:
        """Remove and return the keys whose deadline has come."""
        keys = []
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._current.get(key) == when:
                del self._current[key]
                keys.append(key)
        return keys

    def next(self) -> datetime | None:
        """Return the earliest deadline."""
        while self._heap and self._current.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None


def within(interval: timedelta, begun: datetime, now: datetime) -> bool:
    """Whether it is still too early; a moment in the future was seen before the clock was set back."""
    return begun <= now < begun + interval
