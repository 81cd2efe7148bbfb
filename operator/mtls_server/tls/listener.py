"""Accepts connections, bounds their number, and leads each from handshake to transport to close."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Final, Protocol

from mtls_server.tls.batch import Batches
from mtls_server.tls.closing import LingeringClose, has_ended
from mtls_server.tls.failures import Presented, explain, read_presented
from mtls_server.tls.handshake import Generation, Handshake
from mtls_server.tls.observer import Observer
from mtls_server.tls.patience import Patience
from mtls_server.tls.sockets import Limits
from mtls_server.tls.transport import TlsTransport

ACCEPTS_PER_PASS: Final = 16
"""So that a rush of new clients does not keep the connected ones waiting."""
DROPS_PER_PASS: Final = 16
SHORTAGES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
SHORTAGE_SECONDS: Final = 1.0


class Follower(Protocol):
    """Keeps track of the connections of authenticated clients."""

    def add(self, transport: TlsTransport) -> None:
        """A connection begins."""

    def discard(self, transport: TlsTransport) -> None:
        """It is lost."""


class Listener:
    """All connections of one port.

    At a limit nothing more is accepted: new clients wait in the kernel's backlog, until one goes. Those that
    are slow to shake hands are made to; by their own delay, since behind a NAT many share an address.
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
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._limits = limits
        self._current = current
        self._protocol_factory = protocol_factory
        self._observer = observer
        self._handshakes: set[Handshake] = set()
        self._patience = Patience(self._handshakes)
        self._batches = Batches()
        self._transports: set[TlsTransport] = set()
        self._followers: list[Follower] = []
        self._closing: set[LingeringClose] = set()
        self._accepting = False
        self._shortage: asyncio.TimerHandle | None = None
        self._crowd: asyncio.TimerHandle | None = None
        self._sweeper = self._loop.call_later(limits.sweep_seconds, self._sweep)
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
        return self._accepting

    def follow(self, follower: Follower) -> None:
        """Tell somebody of every connection from now on."""
        self._followers.append(follower)

    def stop_accepting(self) -> None:
        """Close the listening sockets; connections go on."""
        sockets, self._sockets = self._sockets, ()
        for timer in (self._shortage, self._crowd):
            if timer is not None:
                timer.cancel()
        for one in sockets:
            self._loop.remove_reader(one)
            one.close()
        self._accepting = False

    def abort_handshakes(self) -> None:
        """Close the connections of clients that have not authenticated themselves."""
        for handshake in self._handshakes:
            handshake.abort()
        self._handshakes.clear()
        self._patience.stop()
        self._adjust()

    def abort(self) -> None:
        """Close everything now."""
        self._sweeper.cancel()
        self.stop_accepting()
        self.abort_handshakes()
        open_still: list[TlsTransport | LingeringClose] = [*self._transports, *self._closing]
        for connection in open_still:
            connection.abort()

    def _sweep(self) -> None:
        for transport in self._transports:
            transport.end_if_dead()
        self._sweeper = self._loop.call_later(self._limits.sweep_seconds, self._sweep)

    def _adjust(self) -> None:
        """Accept if, and only if, there is room."""
        room = (
            self._shortage is None
            and len(self._handshakes) < self._limits.handshakes
            and self.connections < self._limits.connections
        )
        if not room and self._crowd is None and self._sockets and self._handshakes:
            self._crowd = self._loop.call_later(self._limits.crowded_hello_seconds, self._drop_slow)
        if room == self._accepting:
            return
        self._accepting = room and bool(self._sockets)
        for one in self._sockets:
            if room:
                self._loop.add_reader(one, self._accept, one)
            else:
                self._loop.remove_reader(one)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_PASS):
            if not self._accepting:
                return
            try:
                accepted, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # else the client is gone already: accept(2), "Error handling"
                if error.errno in SHORTAGES:
                    self._pause(error)
            else:
                accepted.settimeout(0)
                self._shake_hands(accepted, address)

    def _pause(self, error: OSError) -> None:
        self._observer.accepting_paused(error.strerror or str(error))
        self._shortage = self._loop.call_later(SHORTAGE_SECONDS, self._resume)
        self._adjust()

    def _resume(self) -> None:
        self._shortage = None
        self._adjust()

    def _drop_slow(self) -> None:
        """Where there is still no room, end the handshakes that their clients delay."""
        self._crowd = None
        if not self._accepting:
            self._drop_some()

    def _drop_some(self) -> None:
        patience = self._limits.crowded_hello_seconds, self._limits.crowded_handshake_seconds
        delayed = (one for one in self._handshakes if one.is_delayed_by_client(*patience))
        dropped = list(islice(delayed, DROPS_PER_PASS))
        for handshake in dropped:
            handshake.make_room()
        if dropped and self._sockets:
            self._loop.call_soon(self._drop_some)
        else:
            self._adjust()

    def _shake_hands(self, accepted: socket.socket, address: object) -> None:
        handshake = Handshake(
            (accepted, address),
            (self._limits.first_byte_seconds, self._limits.handshake_seconds),
            self._current,
            self._finish,
            self._fail,
        )
        self._handshakes.add(handshake)
        self._patience.bear(handshake.deadline)
        self._batches.start.add(handshake.start)
        self._adjust()

    def _finish(self, handshake: Handshake, tls: ssl.SSLSocket) -> None:
        self._batches.finish.add(partial(self._succeed, handshake, tls))

    def _succeed(self, handshake: Handshake, tls: ssl.SSLSocket) -> None:
        if handshake not in self._handshakes:  # aborted meanwhile
            return
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
        transport.start(handshake.reader)
        self._adjust()

    def _make_transport(self, handshake: Handshake, tls: ssl.SSLSocket) -> TlsTransport:
        chain = tls.get_verified_chain()
        leaf = chain[0] if chain else tls.getpeercert(binary_form=True)
        peer = handshake.generation.judge(leaf or b"", chain)
        extra = {"peername": handshake.peername, "mtls_peer": peer}
        return TlsTransport(tls, self._protocol_factory(), extra, self._batches, self._lose)

    def _fail(self, handshake: Handshake, error: OSError) -> None:
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
        if linger and not has_ended(last):
            self._closing.add(LingeringClose(last, self._released))
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
