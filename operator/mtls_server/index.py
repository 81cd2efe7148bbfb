"""Connections by what may change for their peers, so that a change visits only those that it concerns."""

from collections.abc import Callable, Collection, Hashable
from typing import Generic, NamedTuple, TypeVar

Peer = TypeVar("Peer", bound=Hashable)
Connection = TypeVar("Connection", bound=Hashable)
Key = TypeVar("Key", str, float)


class Entry(NamedTuple):
    """What peers are found by."""

    keys: Collection[str]
    end: float
    """Of the peer's certificate, in seconds since the epoch."""


class Index(Generic[Peer, Connection]):
    """Finds connections by the keys of their peers, and by the moment when these end.

    Only a peer's first and last connection cost more than one look-up.
    """

    def __init__(self, describe: Callable[[Peer], Entry]) -> None:
        """Begin empty; `describe` always returns the same for a peer."""
        self._describe = describe
        self._connections: dict[Peer, set[Connection]] = {}
        self._by_key: dict[str, set[Peer]] = {}
        self._by_end: dict[float, set[Peer]] = {}

    def add(self, connection: Connection, peer: Peer) -> None:
        """Enter a connection."""
        known = self._connections.get(peer)
        if known is not None:
            known.add(connection)
            return
        self._connections[peer] = {connection}
        entry = self._describe(peer)
        for key in entry.keys:
            self._by_key.setdefault(key, set()).add(peer)
        self._by_end.setdefault(entry.end, set()).add(peer)

    def discard(self, connection: Connection, peer: Peer) -> None:
        """Strike out a connection that was entered so."""
        known = self._connections[peer]
        known.discard(connection)
        if known:
            return
        del self._connections[peer]
        entry = self._describe(peer)
        for key in entry.keys:
            _strike(self._by_key, key, peer)
        _strike(self._by_end, entry.end, peer)

    def having(self, keys: Collection[str]) -> set[Connection]:
        """Find the connections whose peers have any of the keys."""
        return self._of(set().union(*(self._by_key.get(key, ()) for key in keys)))

    def ended(self, now: float) -> set[Connection]:
        """Find the connections whose peers' end lies before `now`."""
        return self._of(set().union(*(self._by_end[end] for end in self._by_end if end < now)))

    def _of(self, peers: set[Peer]) -> set[Connection]:
        return set().union(*(self._connections[peer] for peer in peers))


def _strike(place: dict[Key, set[Peer]], key: Key, peer: Peer) -> None:
    place[key].discard(peer)
    if not place[key]:
        del place[key]
