"""An asyncio transport over an `ssl.SSLSocket`, instead of a second TLS state machine beside OpenSSL's."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from mtls_server.tls.driven import Driven
from mtls_server.tls.poller import READABLE, Poller
from mtls_server.tls.readiness import Blocked

MAX_RECORD: Final = 1 << 14
"""The most plaintext in one record (RFC 8446 §5.1): a `recv` of this size leaves nothing in OpenSSL."""
MAX_SEND: Final = 1 << 16

_ASKED: Final[Mapping[str, Callable[[ssl.SSLSocket], object]]] = {
    "cipher": ssl.SSLSocket.cipher,
    "compression": ssl.SSLSocket.compression,
    "peercert": ssl.SSLSocket.getpeercert,
    "sockname": ssl.SSLSocket.getsockname,
}
"""What the socket itself is asked for, while it lives, because few want to know."""


class Lost(Protocol):
    """Takes the socket back when the protocol has lost the connection."""

    def __call__(
        self, transport: "TlsTransport", tls: ssl.SSLSocket, error: OSError | None, *, linger: bool
    ) -> None:
        """Close the socket.

        Args:
            transport: is closed.
            tls: what it was made from.
            error: what ended it, if it was not one of the sides.
            linger: bytes are under way that should still reach the peer.
        """


class TlsTransport(Driven):
    """The connection of an authenticated client.

    Writes of one pass of the event loop leave in one `send`. A `send` takes all or nothing, and is
    repeated with the same bytes or more. A half-close by the peer (close_notify) is told to the protocol,
    which may still answer; an end of stream without it is an abort (RFC 8446 §6.1).

    Once the transport is closing every method does nothing: the descriptor's number may by then be
    another client's, and OpenSSL's object may pass plaintext.
    """

    __slots__ = ("_eof", "_error", "_linger", "_lost", "_paused", "_undelivered", "has_received")

    def __init__(
        self,
        tls: ssl.SSLSocket,
        protocol: asyncio.Protocol,
        extra: Mapping[str, object],
        poller: Poller,
        lost: Lost,
    ) -> None:
        """Take over a socket whose handshake is done; `start` begins.

        Args:
            tls: non-blocking, made with ``suppress_ragged_eofs=False``.
            protocol: is given the connection.
            extra: what `get_extra_info` answers beyond what the socket knows.
            poller: tells already when the socket is readable.
            lost: called once, after the protocol's ``connection_lost``.
        """
        known = {**extra, "socket": tls, "ssl_object": tls, "sslcontext": tls.context}
        super().__init__(tls, protocol, known, poller)
        self._lost = lost
        self._paused = False
        self._undelivered = b""
        self._eof = False
        self.has_received = False
        """Whether the client has sent anything yet."""

    def start(self) -> None:
        """Begin to read, and give the protocol its connection."""
        self._begin_to_read()
        self._tell(self._protocol.connection_made, self)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Answer as asyncio's transports do."""
        asked = _ASKED.get(name)
        if asked is not None:
            return default if self._released else asked(self._tls)
        return super().get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Tell whether the transport takes no more writes."""
        return self._closing

    # Reading

    def is_reading(self) -> bool:
        """Tell whether data is being passed to the protocol."""
        return not (self._paused or self._eof or self._closing)

    def pause_reading(self) -> None:
        """Leave further data to the kernel, and so to the peer."""
        self._paused = True
        self._watch()

    def resume_reading(self) -> None:
        """Pass data to the protocol again."""
        self._paused = False
        if self._undelivered:
            self._poller.batches.deliver.add(self._deliver)
        self._watch()

    def _receive(self, _events: int = READABLE) -> None:
        """Decrypt, and deliver in a step of its own, after this has been done for other connections."""
        if self._undelivered or (self._closing and self._flush_scheduled):
            return
        try:
            data = self._tls.recv(MAX_RECORD)
        except ssl.SSLWantReadError:
            self._block(Blocked.NO)
        except ssl.SSLWantWriteError:
            self._block(Blocked.RECV_UNTIL_WRITABLE)
        except OSError as error:
            self._fail(error)
        else:
            if self._blocked is not Blocked.NO:
                self._block(Blocked.NO)
            if data and not self._closing:
                self.has_received = True
                self._undelivered = data
                self._poller.batches.deliver.add(self._deliver)
            elif not self._closing:
                self._receive_eof()

    def _deliver(self) -> None:
        if self._undelivered and self.is_reading():
            data, self._undelivered = self._undelivered, b""
            self._tell(self._protocol.data_received, data)

    def _receive_eof(self) -> None:
        self._eof = True
        if self._tell(self._protocol.eof_received):
            self._watch()
        else:
            self.close()

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send at the end of this pass of the loop; dropped when the transport is closing."""
        if self._closing:
            return
        self._buffer += data
        if not self._flush_scheduled:
            self._schedule_flush()
        if len(self._buffer) > self._high:
            self._pause_protocol()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send the pieces, one after the other."""
        for data in list_of_data:
            self.write(data)

    def can_write_eof(self) -> bool:
        """Python's `ssl` cannot send close_notify and read on."""
        return False

    def write_eof(self) -> None:
        """Refuse, as asyncio's own TLS transport does."""
        raise NotImplementedError

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled and self._when_writable is None and self._blocked is Blocked.NO:
            self._flush_scheduled = True
            self._poller.batches.flush.add(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._released or self._blocked is Blocked.RECV_UNTIL_WRITABLE:
            return
        try:
            if self._buffer:
                self._send()
            if self._closing and not self._buffer:
                self._say_goodbye()
        except ssl.SSLWantReadError:
            self._block(Blocked.SEND_UNTIL_READABLE)
        except ssl.SSLWantWriteError:
            self._block(Blocked.SEND_UNTIL_WRITABLE)
        except OSError as error:
            self._fail(error)
        else:
            if self._blocked is not Blocked.NO or self._buffer or self._when_writable is not None:
                self._blocked = Blocked.NO
                self._watch()
            if self._protocol_paused and len(self._buffer) <= self._low:
                self._resume_protocol()

    def _send(self) -> None:
        """Send what has gathered; it only grows while a send is pending, as its repetition demands."""
        if len(self._buffer) <= MAX_SEND:
            self._tls.send(self._buffer)
            self._buffer.clear()
        else:
            with memoryview(self._buffer) as gathered, gathered[:MAX_SEND] as piece:
                self._tls.send(piece)
            del self._buffer[:MAX_SEND]

    def _resume_protocol(self) -> None:
        if not self._released:
            self._protocol_paused = False
            self._tell(self._protocol.resume_writing)

    # The end

    def close(self) -> None:
        """Stop reading, send what is buffered, then close_notify."""
        if not self._closing:
            self._closing = True
            self._schedule_flush()
            if not self._flush_scheduled:  # else it sees to that, if anything is left to wait for
                self._watch()

    def abort(self) -> None:
        """Close at once; the peer sees a stream cut off."""
        self._release(None, linger=False)

    def _say_goodbye(self) -> None:
        """Send close_notify.

        Raises:
            SSLWantWriteError: to be called again.
        """
        try:
            self._tls.unwrap()
        except ssl.SSLWantWriteError:
            raise
        except OSError:  # most often SSLWantReadError: sent, and the peer's own not yet here
            pass
        self._release(None, linger=True)

    def _fail(self, error: OSError) -> None:
        """End after an error; what OpenSSL itself detects it has answered with an alert."""
        alerted = isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)
        self._release(error, linger=alerted)

    def _release(self, error: OSError | None, *, linger: bool) -> None:
        if self._released:
            return
        self._closing = self._released = True
        self._buffer.clear()
        self._undelivered = b""
        self._stop_waiting()
        self._error, self._linger = error, linger
        self._poller.batches.end.add(self._end)

    def _end(self) -> None:
        try:
            self._protocol.connection_lost(self._error)
        finally:
            self._lost(self, self._tls, self._error, linger=self._linger)
