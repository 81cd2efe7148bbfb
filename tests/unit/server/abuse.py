"""Clients that never finish a handshake, in each of the ways that cost a server something; bounded."""

import itertools
import selectors
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from tests.unit.server.tls.wire import TLS_1_1, client_hello

DRIP_SECONDS = 0.5
PAUSE_SECONDS = 0.05
"""So that a swarm sees its deadline though nothing happens."""


class Leaves(Enum):
    """When an abuser goes by itself; otherwise the server has to end it."""

    NEVER = auto()
    AT_ONCE = auto()
    AT_AN_ANSWER = auto()


@dataclass(frozen=True)
class Abuse:
    """What each connection of a swarm does."""

    says: bytes = b""
    drips: bool = False
    """Says one byte at a time."""
    leaves: Leaves = Leaves.NEVER
    """With RST."""


def abuses() -> dict[str, Abuse]:
    """Return every abuse by its name."""
    hello = client_hello().record  # nothing need follow: a server that answers it has made a signature
    outdated = replace(client_hello(ssl.TLSVersion.TLSv1_2), version=TLS_1_1).record
    return {
        "plain HTTP": Abuse(b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"),
        "garbage": Abuse(bytes(range(256)) * 4),
        "connect and hold": Abuse(),
        "TLS 1.1": Abuse(outdated),
        "handshake flood": Abuse(hello, leaves=Leaves.AT_AN_ANSWER),
        "reset amid the handshake": Abuse(hello, leaves=Leaves.AT_ONCE),
        "a byte at a time": Abuse(hello, drips=True),
        "half a handshake": Abuse(hello),
    }


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    said: int = 0
    connected: bool = False


@dataclass
class Swarm:
    """So many connections at a time of one kind; whoever is let go comes again."""

    abuse: Abuse
    address: tuple[str, int]
    connections: int
    opened: int = 0
    ended: int = 0
    """By the server."""
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, seconds: float, done: threading.Event | None = None) -> None:
        """Abuse the server for so long, or until somebody is done, then let go of it."""
        done = done or threading.Event()
        deadline = time.monotonic() + seconds
        drips = itertools.count(time.monotonic() + DRIP_SECONDS, DRIP_SECONDS)
        drip = next(drips)
        try:
            while (now := time.monotonic()) < deadline and not done.is_set():
                self._fill()
                for key, _ in self._selector.select(PAUSE_SECONDS):
                    self._step(key.data)
                if self.abuse.drips and now > drip:
                    drip = next(drips)
                    self._drip()
        finally:
            for key in list(self._selector.get_map().values()):
                _reset(key.data.connection)
            self._selector.close()

    def _fill(self) -> None:
        missing = self.connections - len(self._selector.get_map())
        for _ in range(min(missing, 256)):
            connection = socket.socket()
            connection.settimeout(0)
            connection.connect_ex(self.address)
            self._selector.register(connection, selectors.EVENT_WRITE, _Client(connection))
            self.opened += 1

    def _step(self, client: _Client) -> None:
        try:
            if not client.connected:
                client.connected = True
                self._say(client)
                self._selector.modify(client.connection, selectors.EVENT_READ, client)
                leaves = self.abuse.leaves is Leaves.AT_ONCE
            elif client.connection.recv(1 << 16):
                leaves = self.abuse.leaves is Leaves.AT_AN_ANSWER
            else:
                self.ended += 1
                leaves = True
        except OSError:
            self.ended += 1
            leaves = True
        if leaves:
            self._selector.unregister(client.connection)
            _reset(client.connection)

    def _say(self, client: _Client) -> None:
        words = self.abuse.says
        if self.abuse.drips:
            words = words[client.said : client.said + 1]
        if words:
            client.said += client.connection.send(words)

    def _drip(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data.connected:
                with suppress(OSError):
                    self._say(key.data)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
