"""The server's side of one TLS handshake, driven by the readiness of the descriptor."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from math import inf
from socket import IPPROTO_TCP, MSG_PEEK, TCP_QUICKACK, socket
from time import perf_counter
from typing import Protocol

from mtls_server.tls.failures import SILENT, SLOW, ImpatientError
from mtls_server.tls.poller import READABLE, WRITABLE, Poller


class Generation(Protocol):
    """The part of `mtls_server.files.material.Generation` that a connection needs."""

    @property
    def context(self) -> ssl.SSLContext:
        """Demands client certificates, and is never changed after its publication."""

    def judge(self, leaf: bytes, verified_chain: Sequence[bytes], /) -> object:
        """Decide about a client whose handshake succeeded: DER, leaf first; no chain on a resumed session."""


class Owner(Protocol):
    """Is told how a handshake ended."""

    def succeed(self, handshake: "Handshake", tls: ssl.SSLSocket) -> None:
        """The client is authenticated; its descriptor is to be handed over."""

    def fail(self, handshake: "Handshake", error: OSError) -> None:
        """The connection is useless; OpenSSL has written its alert, if there is one to send."""


class Handshake:
    """Waits for the client's first bytes, then shakes hands until done, failed or out of time.

    A client that connects and says nothing costs little more than a descriptor: the TLS state is made, and
    the generation chosen, when its first bytes arrive.
    """

    __slots__ = (
        "_awaited",
        "_begun",
        "_current",
        "_owner",
        "_poller",
        "_tls",
        "_whole",
        "deadline",
        "generation",
        "peername",
        "socket",
        "started",
    )

    def __init__(
        self,
        accepted: tuple[socket, object],
        patience: tuple[float, float],
        current: Callable[[], Generation],
        poller: Poller,
        owner: Owner,
    ) -> None:
        """Take over an accepted, non-blocking connection.

        Args:
            accepted: socket and address; the socket passes on to the owner in the end.
            patience: seconds until the first byte must have come, and until all is done, from which the
                `deadline` follows.
            current: returns the generation in service.
            poller: of the listener.
            owner: is told of the end.
        """
        self.socket, self.peername = accepted
        self._current = current
        self._poller = poller
        self._owner = owner
        self._tls: ssl.SSLSocket
        self._begun = False
        self._awaited = READABLE
        self.started = perf_counter()
        first_byte, whole = patience
        now = asyncio.get_running_loop().time()
        self._whole = now + whole
        self.deadline = now + min(first_byte, whole)
        """Loop time at which somebody else calls `expire`."""
        poller.add(self.socket.fileno(), self._hear)

    def _hear(self, _events: int) -> None:
        self._poller.batches.start.add(self._begin)

    def _begin(self) -> None:
        """Make the TLS state and take the first step."""
        descriptor = self.socket.fileno()
        if descriptor < 0:  # aborted meanwhile
            return
        self._begun = True
        self.deadline = self._whole
        self.generation = self._current()
        try:
            self.socket = self._tls = self.generation.context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        except OSError as error:  # the peer is gone already, and the descriptor closed
            self._poller.forget(descriptor)
            self._owner.fail(self, error)
            return
        self._poller.hand_over(descriptor, self._step)
        self._step(READABLE)

    def _step(self, _events: int) -> None:
        try:
            self._tls.do_handshake()
            # The server says nothing more, and the client's request may wait for the ACK of its Finished.
            self._tls.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1)
        except ssl.SSLWantReadError:
            self._await(READABLE)
        except ssl.SSLWantWriteError:
            self._await(WRITABLE)
        except OSError as error:
            self._stop()
            self._owner.fail(self, error)
        else:
            self.deadline = inf
            self._await(READABLE)
            self._poller.batches.finish.add(self._finish)

    def _await(self, events: int) -> None:
        if events != self._awaited:
            self._awaited = events
            self._poller.watch(self._tls.fileno(), events, self._step)

    def _finish(self) -> None:
        if self._tls.fileno() >= 0:  # not aborted meanwhile
            self._owner.succeed(self, self._tls)

    def is_delayed_by_client(self, hello_seconds: float, whole_seconds: float) -> bool:
        """Tell whether the client has taken too long, and not a busy loop that has yet to notice its bytes.

        Args:
            hello_seconds: until its first message must be whole.
            whole_seconds: until all must be done.
        """
        if self.deadline == inf:
            return False
        said_hello = isinstance(self.socket, ssl.SSLSocket) and self.socket.cipher() is not None
        if perf_counter() - self.started < (whole_seconds if said_hello else hello_seconds):
            return False
        try:
            socket.recv(self.socket, 1, MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def make_room(self) -> None:
        """Fail: the client delays others."""
        self._stop()
        self._owner.fail(self, ImpatientError(SLOW if self._begun else SILENT))

    def expire(self) -> None:
        """Fail with ImpatientError or TimeoutError: the client took too long."""
        self._stop()
        self._owner.fail(self, TimeoutError() if self._begun else ImpatientError(SILENT))

    def _stop(self) -> None:
        self._poller.discard(self.socket.fileno())

    def abort(self) -> None:
        """Close now, telling nobody."""
        self._stop()
        self.socket.close()
