"""The server's own protocol for HTTP, on a connection whose other side is an input."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from uvicorn._types import HTTPScope
from uvicorn.config import Config

from mtls_server.files.material import Peer
from mtls_server.http.graceful import DrainState
from mtls_server.http.peer import Admission, PeerProtocol
from mtls_server.http.reply import Reply
from mtls_server.live import LiveConnections
from tests.fuzz.fields import Fields
from tests.fuzz.world import GENERATION

TURNS = 6
"""Of the event loop, after which an application has read and answered what is there."""


@dataclass
class Passed:
    """A request that the gate has let pass."""

    target: bytes
    scope: Any
    headers: Fields
    body: bytes | None = None


class Gate(PeerProtocol):
    """The server's own protocol, which keeps what it has let pass."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.begun = 0
        self.seen: list[Passed] = []

    def on_message_begin(self) -> None:
        self.begun += 1
        super().on_message_begin()

    def judge(self) -> Reply | None:
        refused = super().judge()
        if refused is None:
            line = {"http_version": self.version, "method": self.method}
            self.seen.append(Passed(self.url, line, list(self.headers)))
        return refused

    def scope(self) -> HTTPScope:
        scope = super().scope()
        self.seen[-1].scope = scope
        return scope


@dataclass(eq=False)
class Transport(asyncio.Transport):
    """A connection whose other side is the input."""

    peer: Peer
    written: bytearray = field(default_factory=bytearray)
    closing: bool = False
    paused: bool = False
    protocol: asyncio.BaseProtocol | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        known = {
            "mtls_peer": self.peer,
            "ssl_object": self,
            "cipher": ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256),
            "peername": ("192.0.2.1", 40000),
            "sockname": ("192.0.2.2", 8443),
        }
        return known.get(name, default)

    def version(self) -> str:
        return "TLSv1.3"

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closing:
            self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


class TakenOver(asyncio.Protocol):
    """Stands where a backend's WebSocket begins."""

    def __init__(self, *_arguments: Any) -> None:
        pass


class Silent:
    """Hears of refusals."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments, **_named: None


class Failures(logging.Handler):
    """Keeps what is only logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers when it has read the body, or at once below `/hasty`, and says which request it answers."""
    number, passed = next((n, one) for n, one in enumerate(_SEEN[-1].seen) if one.scope is scope)
    body, more = b"", not scope["path"].startswith("/hasty")
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    if not scope["path"].startswith("/hasty"):
        passed.body = body
    headers = [(b"content-length", b"2"), (b"x-number", b"%d" % number)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


_SEEN: list[Gate] = []
_SILENT: Any = Silent()
_FAILURES = Failures()
_LOOP = asyncio.new_event_loop()
_CONFIG = Config(application, http=PeerProtocol, ws="none", lifespan="off", log_config=None, access_log=False)
_CONFIG.load()
_LOOP.set_exception_handler(lambda _loop, context: _FAILURES.records.append(str(context)))
logging.getLogger("mtls_server").addHandler(_FAILURES)


def converse(
    peer: Peer, pieces: Sequence[bytes], *, websockets: bool, half_close: bool
) -> tuple[Gate, Transport]:
    """Say what the peer says, and return what the server made of it.

    Args:
        peer: the caller.
        pieces: what it says, and in which portions.
        websockets: whether the backend has them.
        half_close: whether the caller says that nothing more comes.

    Raises:
        AssertionError: something was only logged.
    """
    transport = Transport(peer)
    _FAILURES.records.clear()
    gate = _LOOP.run_until_complete(
        _converse(transport, pieces, websockets=websockets, half_close=half_close)
    )
    assert not _FAILURES.records, _FAILURES.records
    return gate, transport


async def _converse(
    transport: Transport, pieces: Sequence[bytes], *, websockets: bool, half_close: bool
) -> Gate:
    live = LiveConnections(_SILENT)
    live.generation = GENERATION
    _CONFIG.ws_protocol_class = TakenOver if websockets else None
    gate = Gate(_CONFIG, DrainState(), {}, Admission(live, _SILENT))
    _SEEN[:] = [gate]
    transport.set_protocol(gate)
    gate.connection_made(transport)
    for piece in pieces:
        await _turns(transport)
        if transport.closing or transport.paused or transport.protocol is not gate:
            break
        if piece:
            gate.data_received(piece)
    await _turns(transport)
    if half_close and not transport.closing and transport.protocol is gate and not gate.eof_received():
        transport.close()
    await _turns(transport)
    gate.connection_lost(None)
    await _turns(transport)
    return gate


async def _turns(transport: Transport) -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
    while transport.paused and not transport.closing:
        written = len(transport.written)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if len(transport.written) == written:
            break
