"""A listener on its own loop in a thread, and clients that can misbehave, for tests of the TLS transport."""

import asyncio
import contextlib
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import uvloop

from mtls_server.tls.failures import Presented
from mtls_server.tls.handshake import Generation
from mtls_server.tls.listener import Listener
from mtls_server.tls.sockets import Limits, bind
from mtls_server.tls.transport import TlsTransport
from tests.unit.server import pki
from tests.unit.server.program import PATIENCE

Answer = TypeVar("Answer")
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


@dataclass(frozen=True)
class Failure:
    peername: object
    reason: str
    presented: Presented | None


@dataclass
class Log:
    """An observer that remembers."""

    failures: list[Failure] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    broken: list[tuple[object, str]] = field(default_factory=list)
    pauses: list[str] = field(default_factory=list)

    def handshake_failed(self, peername: object, reason: str, presented: Presented | None) -> None:
        self.failures.append(Failure(peername, reason, presented))

    def handshake_done(self, version: str, seconds: float) -> None:
        assert seconds >= 0
        self.versions.append(version)

    def connection_opened(self) -> None:
        self.opened += 1

    def connection_closed(self) -> None:
        self.closed += 1

    def connection_failed(self, peername: object, reason: str) -> None:
        self.broken.append((peername, reason))

    def accepting_paused(self, reason: str) -> None:
        self.pauses.append(reason)


class Recorder(asyncio.Protocol):
    """Remembers what the transport told it; answers as the test says."""

    def __init__(self) -> None:
        self.transport: TlsTransport
        self.received = bytearray()
        self.events: list[str] = []
        self.lost: list[Exception | None] = []
        self.keep_open_at_eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert not self.lost
        self.received += data

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keep_open_at_eof

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


@dataclass
class TlsServer:
    """The running listener, and what a test may look at from its own thread."""

    loop: asyncio.AbstractEventLoop
    listener: Listener
    port: int
    log: Log
    protocols: list[Recorder]

    def call(self, function: Callable[..., Answer], *args: object) -> Answer:
        """Run in the loop and return what it returned."""

        async def run() -> Answer:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE)

    def protocol(self, number: int = 0) -> Recorder:
        eventually(lambda: len(self.protocols) > number and hasattr(self.protocols[number], "transport"))
        return self.protocols[number]

    def failure(self) -> Failure:
        """The one and only failed handshake."""
        eventually(lambda: self.log.failures)
        time.sleep(0.02)
        (failure,) = self.log.failures
        return failure


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@contextlib.contextmanager
def running(
    loop_name: str,
    generation: Generation | Callable[[], Generation],
    *,
    protocol: Callable[[], Recorder] = Echo,
    limits: Limits | None = None,
    host: str = "127.0.0.1",
    expected_problems: Sequence[type[Exception]] = (),
) -> Iterator[TlsServer]:
    loop = LOOPS[loop_name]()
    limits = limits or Limits()
    log = Log()
    protocols: list[Recorder] = []
    problems: list[type[Exception]] = []
    loop.set_exception_handler(lambda _loop, context: problems.append(type(context["exception"])))

    def make() -> Recorder:
        protocols.append(protocol())
        return protocols[-1]

    def current() -> Generation:
        return generation() if callable(generation) else generation

    sockets = bind(host, 0, limits)
    port = sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()

    async def start() -> Listener:
        return Listener(sockets, limits, current, make, log)

    listener = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE)
    server = TlsServer(loop, listener, port, log, protocols)
    try:
        yield server
    finally:
        server.call(listener.abort)
        eventually(lambda: not listener.connections)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert problems == list(expected_problems)


def client_context(
    server_authority: pki.Issued,
    client: pki.Issued | None = None,
    *,
    maximum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """A caller's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = maximum_version
    context.load_verify_locations(cadata=server_authority.pem.decode())
    if client is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "client.pem")
            path.write_bytes(client.pem + client.key_pem)
            context.load_cert_chain(path)
    return context


def connect(server: TlsServer, context: ssl.SSLContext, raw: socket.socket | None = None) -> ssl.SSLSocket:
    """Shake hands; with TLS 1.3 a refusal shows only at the first read."""
    raw = raw or dial(server)
    raw.settimeout(PATIENCE)
    try:
        return context.wrap_socket(raw, server_hostname=pki.SERVER_NAMES[0], suppress_ragged_eofs=False)
    except BaseException:
        raw.close()
        raise


def dial(server: TlsServer, *, receive_buffer: int = 0, host: str = "127.0.0.1") -> socket.socket:
    raw = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.settimeout(PATIENCE)
    raw.connect((host, server.port))
    return raw


def receive(tls: ssl.SSLSocket, size: int) -> bytes:
    """Read exactly so much, or what there is before the peer's close_notify."""
    received = bytearray()
    while len(received) < size:
        piece = tls.recv(size - len(received))
        if not piece:
            break
        received += piece
    return bytes(received)


def reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class ByteClient:
    """TLS whose records pass through the test's hands."""

    def __init__(self, server: TlsServer, context: ssl.SSLContext) -> None:
        self.raw = dial(server)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=pki.SERVER_NAMES[0])

    def shake_hands(self, *, one_byte_at_a_time: bool = False) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.push(one_byte_at_a_time=one_byte_at_a_time)
                self.pull()
            else:
                self.push(one_byte_at_a_time=one_byte_at_a_time)
                return

    def push(self, *, one_byte_at_a_time: bool = False) -> None:
        """Put on the wire what TLS wants to send."""
        records = self.outgoing.read()
        if not one_byte_at_a_time:
            self.raw.sendall(records)
            return
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in records:
            self.raw.send(bytes([byte]))

    def pull(self) -> bytes:
        """Take from the wire what is there, and return it; empty at its end."""
        records = self.raw.recv(1 << 16)
        if records:
            self.incoming.write(records)
        else:
            self.incoming.write_eof()
        return records

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.push()

    def receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            try:
                piece = self.tls.read(size - len(received))
            except ssl.SSLWantReadError:
                self.pull()
            except ssl.SSLZeroReturnError:
                break
            else:
                received += piece
        return received

    def send_close_notify(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.push()
