"""Accepts connections, bounds their number, and leads each from handshake to transport to close."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Protocol

from mtls_server.tls.acceptor import Acceptor
from mtls_server.tls.batch import Batch
from mtls_server.tls.closing import LingeringClose, has_ended
from mtls_server.tls.crowd import Crowd
from mtls_server.tls.failures import Presented, explain, read_presented
from mtls_server.tls.handshake import Generation, Handshake
from mtls_server.tls.observer import Observer
from mtls_server.tls.patience import Patience
from mtls_server.tls.poller import Poller
from mtls_server.tls.sockets import Limits
from mtls_server.tls.transport import TlsTransport


class Follower(Protocol):
    """Keeps track of the connections of authenticated clients."""

    def add(self, transport: TlsTransport) -> None:
        """A connection begins."""

    def discard(self, transport: TlsTransport) -> None:
        """It is lost."""


class Listener:
    """All connections of one port.

    At a limit nothing more is accepted: new clients wait in the kernel's backlog, until one goes. Those that
    are slow to shake hands are made to.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limits: Limits,
        current: Callable[[], Generation],
        protocol_factory: Callable[[], asyncio.Protocol],
        observer: Observer,
    ) -> None:
        """Begin to accept.

        Args:
            sockets: listening; closed by `stop_accepting`.
            limits: of what is admitted.
            current: returns the generation that the next connection gets, and keeps.
            protocol_factory: makes the protocol of an authenticated connection.
            observer: logs and counts.
        """
        self._limits = limits
        self._current = current
        self._protocol_factory = protocol_factory
        self._observer = observer
        self._poller = Poller()
        self._acceptor = Acceptor(sockets, self._poller, self._shake_hands, observer.accepting_paused)
        self._handshakes: set[Handshake] = set()
        self._patience = Patience(self._handshakes)
        self._crowd = Crowd(self._handshakes, limits, lambda: not self.accepting)
        self._transports: set[TlsTransport] = set()
        self._followers: list[Follower] = []
        self._closing: set[LingeringClose] = set()
        self._adjust()

    @property
    def transports(self) -> frozenset[TlsTransport]:
        """The connections of authenticated clients."""
        return frozenset(self._transports)

    @property
    def connections(self) -> int:
        """The number of clients in any state."""
        return len(self._handshakes) + len(self._transports) + len(self._closing)

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken at this moment."""
        return self._acceptor.accepting

    @property
    def answers(self) -> Batch:
        """What protocols have done when all that came has been delivered, and before anything is sent."""
        return self._poller.batches.answer

    def follow(self, follower: Follower) -> None:
        """Tell somebody of every connection from now on."""
        self._followers.append(follower)

    def stop_accepting(self) -> None:
        """Close the listening sockets; connections go on."""
        self._crowd.stop()
        self._acceptor.stop()

    def abort_handshakes(self) -> None:
        """Close the connections of clients that have not authenticated themselves."""
        for handshake in self._handshakes:
            handshake.abort()
        self._handshakes.clear()
        self._patience.stop()
        self._adjust()

    def abort(self) -> None:
        """Close everything now."""
        self.stop_accepting()
        self.abort_handshakes()
        open_still: list[TlsTransport | LingeringClose] = [*self._transports, *self._closing]
        for connection in open_still:
            connection.abort()
        self._poller.close()

    def _adjust(self) -> None:
        """Accept if, and only if, there is room."""
        room = len(self._handshakes) < self._limits.handshakes and self.connections < self._limits.connections
        self._acceptor.accept_if(room=room)
        if not room and not self._acceptor.stopped:
            self._crowd.notice()

    def _shake_hands(self, accepted: socket.socket, address: object) -> None:
        patience = self._limits.first_byte_seconds, self._limits.handshake_seconds
        handshake = Handshake((accepted, address), patience, self._current, self._poller, self)
        self._handshakes.add(handshake)
        self._patience.bear(handshake.deadline)
        self._adjust()

    def succeed(self, handshake: Handshake, tls: ssl.SSLSocket) -> None:
        """Lead a client that is authenticated to its protocol."""
        self._handshakes.discard(handshake)
        try:
            transport = self._make_transport(handshake, tls)
        except BaseException:
            handshake.abort()
            raise
        self._transports.add(transport)
        for follower in self._followers:
            follower.add(transport)
        self._observer.handshake_done(tls.version() or "", perf_counter() - handshake.started)
        self._observer.connection_opened()
        transport.start()
        self._adjust()

    def _make_transport(self, handshake: Handshake, tls: ssl.SSLSocket) -> TlsTransport:
        chain = tls.get_verified_chain()
        leaf = chain[0] if chain else tls.getpeercert(binary_form=True)
        peer = handshake.generation.judge(leaf or b"", chain)
        extra = {"peername": handshake.peername, "mtls_peer": peer}
        return TlsTransport(tls, self._protocol_factory(), extra, self._poller, self._lose)

    def fail(self, handshake: Handshake, error: OSError) -> None:
        """Say why a client was refused, and close."""
        self._handshakes.discard(handshake)
        tls = handshake.socket
        self._observer.handshake_failed(
            handshake.peername,
            explain(error, self._limits.handshake_seconds),
            _presented(tls, error),
        )
        self._close(tls, linger=isinstance(error, ssl.SSLError))

    def _lose(
        self, transport: TlsTransport, tls: ssl.SSLSocket, error: OSError | None, *, linger: bool
    ) -> None:
        self._transports.discard(transport)
        for follower in self._followers:
            follower.discard(transport)
        self._observer.connection_closed()
        if error is not None and linger:  # so there was an alert, one way or the other
            reason = explain(error, self._limits.handshake_seconds)
            self._observer.connection_failed(transport.get_extra_info("peername"), reason)
        self._close(tls, linger=linger)

    def _close(self, last: socket.socket, *, linger: bool) -> None:
        if linger and not self._poller.closed and not has_ended(last):
            self._closing.add(LingeringClose(last, self._poller, self._released))
        else:
            last.close()
        self._adjust()

    def _released(self, closed: LingeringClose) -> None:
        self._closing.discard(closed)
        self._adjust()


def _presented(tls: socket.socket, error: OSError) -> Presented | None:
    """Describe the refused client's certificate; a socket whose peer went before TLS began has no answer."""
    if not (isinstance(tls, ssl.SSLSocket) and isinstance(error, ssl.SSLError)):
        return None
    chain = tls.get_verified_chain()
    return read_presented(chain[0]) if chain else None
