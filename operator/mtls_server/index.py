"""Connections by what may change for them, so that a change visits only those that it concerns."""

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

Connection = TypeVar("Connection", bound=Hashable)


class Index(Generic[Connection]):
    """Finds connections by keys, and by the moment when their peer's certificate ends."""

    def __init__(self) -> None:
        self._by_key: dict[str, set[Connection]] = {}
        self._by_end: dict[float, set[Connection]] = {}

    def add(self, connection: Connection, keys: Collection[str], end: float) -> None:
        """Enter a connection; `end` in seconds since the epoch."""
        for key in keys:
            self._by_key.setdefault(key, set()).add(connection)
        self._by_end.setdefault(end, set()).add(connection)

    def discard(self, connection: Connection, keys: Collection[str], end: float) -> None:
        """Strike out a connection that was entered so."""
        for key in keys:
            _strike(self._by_key, key, connection)
        _strike(self._by_end, end, connection)

    def having(self, keys: Collection[str]) -> set[Connection]:
        """Find the connections with any of the keys."""
        return set().union(*(self._by_key.get(key, ()) for key in keys))

    def ended(self, now: float) -> set[Connection]:
        """Find the connections whose end lies before `now`."""
        return set().union(*(self._by_end[end] for end in self._by_end if end < now))


Key = TypeVar("Key", str, float)


def _strike(place: dict[Key, set[Connection]], key: Key, connection: Connection) -> None:
    place[key].discard(connection)
    if not place[key]:
        del place[key]
