"""The server's side of one TLS handshake, driven by the readiness of the descriptor."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from socket import IPPROTO_TCP, MSG_PEEK, TCP_QUICKACK, socket
from time import perf_counter
from typing import Protocol

from mtls_server.tls.failures import SILENT, SLOW, ImpatientError
from mtls_server.tls.reader import Reader


class Generation(Protocol):
    """The part of `mtls_server.files.material.Generation` that a connection needs."""

    @property
    def context(self) -> ssl.SSLContext:
        """Demands client certificates, and is never changed after its publication."""

    def judge(self, leaf: bytes, verified_chain: Sequence[bytes], /) -> object:
        """Decide about a client whose handshake succeeded: DER, leaf first; no chain on a resumed session."""


class Handshake:
    """Waits for the client's first bytes, then shakes hands until done, failed or out of time.

    Nothing happens before `start`, and whoever is told of the end does nothing at once either: while the same
    is done for one connection after the other, the processor's caches serve it best.

    A client that connects and says nothing costs little more than a descriptor: the TLS state is made, and
    the generation chosen, when its first bytes arrive.
    """

    __slots__ = (
        "_begun",
        "_current",
        "_done",
        "_failed",
        "_loop",
        "_whole",
        "deadline",
        "generation",
        "peername",
        "reader",
        "socket",
        "started",
    )

    def __init__(
        self,
        accepted: tuple[socket, object],
        patience: tuple[float, float],
        current: Callable[[], Generation],
        done: Callable[["Handshake", ssl.SSLSocket], None],
        failed: Callable[["Handshake", OSError], None],
    ) -> None:
        """Take over an accepted, non-blocking connection.

        Args:
            accepted: socket and address; the socket passes on to whoever `done` or `failed` calls.
            patience: seconds until the first byte must have come, and until all is done, from which the
                `deadline` follows.
            current: returns the generation in service.
            done: the client is authenticated; whoever takes over is told by `reader` what the loop sees.
            failed: the connection is useless; OpenSSL has written its alert, if there is one to send.
        """
        self._loop = asyncio.get_running_loop()
        self.socket, self.peername = accepted
        self._current = current
        self._done = done
        self._failed = failed
        self._begun = False
        self.reader = Reader(self._end_silence)
        self.started = perf_counter()
        first_byte, whole = patience
        now = self._loop.time()
        self._whole = now + whole
        self.deadline = now + min(first_byte, whole)
        """Loop time at which somebody else calls `expire`."""

    def start(self) -> None:
        """Begin at once with a client that has spoken, as most have, else when it does."""
        if self.socket.fileno() < 0:  # aborted meanwhile
            return
        try:
            self.socket.recv(1, MSG_PEEK)
        except BlockingIOError:
            self._loop.add_reader(self.socket, self.reader)
        except OSError as error:
            self._stop()
            self._failed(self, error)
        else:
            self._begin()

    def _end_silence(self) -> None:
        self._loop.remove_reader(self.socket)
        self._begin()

    def _begin(self) -> None:
        """Make the TLS state; nothing is watched here, as `wrap_socket` closes what is useless already."""
        self._begun = True
        self.deadline = self._whole
        self.generation = self._current()
        try:
            tls = self.generation.context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        except OSError as error:  # the peer is gone already
            self.reader.tell_nobody()
            self._failed(self, error)
            return
        self.socket = tls
        self.reader.tell = partial(self._step, tls)
        self._loop.add_reader(tls, self.reader)
        self._step(tls)

    def _step(self, tls: ssl.SSLSocket) -> None:
        try:
            tls.do_handshake()
            # The server says nothing more, and the client's request may wait for the ACK of its Finished.
            tls.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._loop.remove_reader(tls)
            self._loop.add_writer(tls, self._continue, tls)
        except OSError as error:
            self._stop()
            self._failed(self, error)
        else:
            self.reader.tell_nobody()
            self.deadline = inf
            self._done(self, tls)

    def _continue(self, tls: ssl.SSLSocket) -> None:
        self._loop.remove_writer(tls)
        self._loop.add_reader(tls, self.reader)
        self._step(tls)

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
        self._failed(self, ImpatientError(SLOW if self._begun else SILENT))

    def expire(self) -> None:
        """Fail with ImpatientError or TimeoutError: the client took too long."""
        self._stop()
        self._failed(self, TimeoutError() if self._begun else ImpatientError(SILENT))

    def _stop(self) -> None:
        self._loop.remove_reader(self.socket)
        self._loop.remove_writer(self.socket)
        self.reader.tell_nobody()

    def abort(self) -> None:
        """Close now, telling nobody."""
        self._stop()
        self.socket.close()
