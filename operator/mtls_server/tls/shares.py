"""How much of the room for connections one caller may take."""

from collections import Counter
from collections.abc import Callable, Hashable

from mtls_server.tls.transport import TlsTransport


class Shares:
    """Counts the connections of each caller."""

    def __init__(self, most: int, caller_of: Callable[[TlsTransport], Hashable]) -> None:
        """Begin without connections.

        Args:
            most: connections that one caller may have.
            caller_of: returns who is connected, always the same for a connection.
        """
        self._most = most
        self._caller_of = caller_of
        self._connections = Counter[Hashable]()
        self._excess: set[TlsTransport] = set()

    def add(self, transport: TlsTransport) -> None:
        """Count a connection."""
        caller = self._caller_of(transport)
        self._connections[caller] += 1
        if self._connections[caller] > self._most:
            self._excess.add(transport)

    def discard(self, transport: TlsTransport) -> None:
        """Count a connection no more."""
        caller = self._caller_of(transport)
        self._connections[caller] -= 1
        if not self._connections[caller]:
            del self._connections[caller]
        self._excess.discard(transport)

    def exceeds(self, transport: TlsTransport) -> bool:
        """Tell whether the caller had its share already when this connection began."""
        return transport in self._excess
