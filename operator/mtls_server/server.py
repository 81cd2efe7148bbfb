"""Serves until SIGTERM, then ends without failing a request."""

import asyncio
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from mtls_server.tls.listener import Listener
from mtls_server.tls.transport import TlsTransport

POLL_SECONDS: Final = 0.05
FIRST_REQUEST_SECONDS: Final = 2.0


@runtime_checkable
class Drainable(Protocol):
    """What a connection's protocol is, if it can end well."""

    def shutdown(self) -> None:
        """Close when idle; else finish the request in progress with ``Connection: close``, then close."""


@dataclass(frozen=True, slots=True)
class Drain:
    """How the server ends, in seconds."""

    delay: float = 3.0
    """How long it still accepts after it has said that it is not ready, until everybody has heard."""
    grace: float = 25.0
    """When it ends whatever is still under way, counted from the signal."""


async def serve(listener: Listener, drain: Drain, *at_signal: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once.

    Args:
        listener: accepts already; closed in the end.
        drain: how to end.
        *at_signal: are called first: make the server unready, tell the connections.
    """
    loop = asyncio.get_running_loop()
    signals = asyncio.Queue[None]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, None)
    try:
        await signals.get()
        for call in at_signal:
            call()
        ends = {asyncio.create_task(_drain(listener, drain)), asyncio.create_task(signals.get())}
        await asyncio.wait(ends, timeout=drain.grace, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
    finally:
        listener.abort()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def use_all_descriptors() -> int:
    """Raise the limit as far as may be, and return it: a shell's is often 1024, for users of select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def _drain(listener: Listener, drain: Drain) -> None:
    """Accept a little longer, then ask every connection to end; return when none is left."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(drain.delay)
    listener.stop_accepting()
    patience_ends = loop.time() + FIRST_REQUEST_SECONDS
    asked: set[TlsTransport] = set()
    while listener.connections:
        impatient = loop.time() > patience_ends
        if impatient:
            listener.abort_handshakes()
        for transport in listener.transports - asked:
            # A client that has just connected is about to send its first request.
            if transport.has_received or impatient:
                asked.add(transport)
                _ask_to_end(transport)
        await asyncio.sleep(POLL_SECONDS)


def _ask_to_end(transport: TlsTransport) -> None:
    protocol = transport.get_protocol()
    if isinstance(protocol, Drainable):
        protocol.shutdown()
    else:
        transport.close()
