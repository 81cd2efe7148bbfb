"""A queue of keys: each at most once, never at two workers at a time, with backoff per key."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 30.0


class KeyedQueue(Generic[KeyT]):
    """Deduplicating work queue.

    A key added while a worker holds it is handed out again after ``done``; added twice while waiting,
    it is handed out once. ``spread`` returns a factor near 1 that keeps retries of many keys apart.
    """

    def __init__(self, spread: Callable[[], float]) -> None:
        self._spread = spread
        self._ready: asyncio.Queue[KeyT] = asyncio.Queue()
        self._waiting: set[KeyT] = set()
        self._held: set[KeyT] = set()
        self._again: set[KeyT] = set()
        self._failures: dict[KeyT, int] = {}
        self._retries: dict[KeyT, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: KeyT) -> None:
        """Ask for a pass over this key."""
        if key in self._held:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    async def get(self) -> KeyT:
        """Wait for a key; it is the caller's until ``done`` or ``retry``."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._held.add(key)
        return key

    def done(self, key: KeyT) -> None:
        """Give a key back after a pass that succeeded."""
        self._failures.pop(key, None)
        self._cancel_retry(key)
        self._release(key)

    def retry(self, key: KeyT, at_least: float = 0.0) -> float:
        """Give a key back after a pass that failed; it returns after a growing delay.

        Args:
            key: the key held.
            at_least: seconds that must pass, such as a Retry-After.

        Returns:
            The delay in seconds.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF * 2.0 ** min(failures, 16), LONGEST_BACKOFF) * self._spread()
        delay = max(delay, at_least)
        self._cancel_retry(key)
        self._retries[key] = asyncio.get_running_loop().call_later(delay, self.add, key)
        self._release(key)
        return delay

    def _cancel_retry(self, key: KeyT) -> None:
        """Forget the former retry: each pass that fails asks for one more, never for two."""
        retry = self._retries.pop(key, None)
        if retry is not None:
            retry.cancel()

    def _release(self, key: KeyT) -> None:
        self._held.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
