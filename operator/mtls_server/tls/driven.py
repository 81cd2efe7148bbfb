"""What a transport waits for, and what it does when its descriptor is ready."""

import asyncio
import errno
import os
import ssl
from abc import abstractmethod
from collections.abc import Callable, Mapping
from socket import SO_ERROR, SOL_SOCKET

from mtls_server.tls.flow import FlowControl
from mtls_server.tls.poller import READABLE, WRITABLE, Poller
from mtls_server.tls.readiness import Blocked, Call, next_calls


class Driven(FlowControl):
    """A transport that is driven by the readiness of its descriptor, as OpenSSL's last answer demands.

    Once it is released it waits for nothing, for the descriptor's number may by then be another client's.
    """

    __slots__ = (
        "_blocked",
        "_closing",
        "_flush_scheduled",
        "_poller",
        "_released",
        "_tls",
        "_when_readable",
        "_when_writable",
    )

    def __init__(
        self, tls: ssl.SSLSocket, protocol: asyncio.Protocol, extra: Mapping[str, object], poller: Poller
    ) -> None:
        super().__init__(protocol, extra)
        self._tls = tls
        self._poller = poller
        self._blocked = Blocked.NO
        self._when_readable: Call | None = None
        self._when_writable: Call | None = None
        self._flush_scheduled = False
        self._closing = False
        self._released = False

    @abstractmethod
    def _receive(self, events: int = READABLE) -> None:
        """Decrypt what has come."""

    @abstractmethod
    def _flush(self) -> None:
        """Send what has gathered."""

    @abstractmethod
    def _fail(self, error: OSError) -> None:
        """End after an error."""

    def _begin_to_read(self) -> None:
        """Take over the descriptor, of which the poller tells already when it is readable."""
        self._when_readable = Call.RECEIVE
        self._poller.hand_over(self._tls.fileno(), self._receive)

    def _block(self, blocked: Blocked) -> None:
        if self._blocked is not blocked:
            self._blocked = blocked
            self._watch()

    def _watch(self) -> None:
        """Wait for exactly what the next step needs."""
        if self._released:
            return
        writing = bool(self._buffer or self._closing) and not self._flush_scheduled
        readable, writable = next_calls(self._blocked, reading=self.is_reading(), writing=writing)
        if readable is self._when_readable and writable is self._when_writable:
            return
        self._when_readable, self._when_writable = readable, writable
        events = (READABLE if readable is not None else 0) | (WRITABLE if writable is not None else 0)
        only_receives = readable is Call.RECEIVE and writable is None
        self._poller.watch(self._tls.fileno(), events, self._receive if only_receives else self._proceed)

    def _proceed(self, events: int) -> None:
        """Do what the descriptor is ready for; an error is for whatever is waited for, or for nobody."""
        if self._when_readable is None and self._when_writable is None:
            self._fail(self._error_of_kernel())
            return
        if events != WRITABLE:
            self._do(self._when_readable)
        if events != READABLE:
            self._do(self._when_writable)

    def _do(self, call: Call | None) -> None:
        if call is Call.RECEIVE:
            self._receive()
        elif call is Call.FLUSH:
            self._flush()

    def _error_of_kernel(self) -> OSError:
        number = self._tls.getsockopt(SOL_SOCKET, SO_ERROR) or errno.ECONNRESET
        return OSError(number, os.strerror(number))

    def _stop_waiting(self) -> None:
        self._when_readable = self._when_writable = None
        self._poller.discard(self._tls.fileno())

    def _tell(self, hook: Callable[..., object], *args: object) -> object:
        """Call the protocol; the loop reports what it raises, and the connection is useless then."""
        try:
            return hook(*args)
        except BaseException:
            self.abort()
            raise
