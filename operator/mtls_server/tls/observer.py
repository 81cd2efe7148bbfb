"""What the listener tells those who log and count."""

from typing import Protocol

from mtls_server.tls.failures import Presented


class Observer(Protocol):
    """Told of each handshake exactly once, and of each connection's beginning and end."""

    def handshake_failed(self, peername: object, reason: str, presented: Presented | None) -> None:
        """A client was refused, or gave up.

        Args:
            peername: of the socket; None when the client was gone before we could ask.
            reason: in words, of a bounded set but for what OpenSSL words itself.
            presented: the client's certificate, possession unproven; None when it sent none.
        """

    def handshake_done(self, version: str, seconds: float) -> None:
        """A client was admitted to the connection; `version` is OpenSSL's name, such as ``TLSv1.3``."""

    def connection_opened(self) -> None:
        """A protocol has been given a connection."""

    def connection_closed(self) -> None:
        """The protocol of a connection has lost it."""

    def connection_failed(self, peername: object, reason: str) -> None:
        """A connection was ended by an alert, ours or the client's; `reason` as of a failed handshake."""

    def accepting_paused(self, reason: str) -> None:
        """No connection is accepted for now; `reason` in words."""
