"""The server as a process, and clients that say exactly what they are told."""

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
"""Seconds; a server that does nothing for so long is broken, however busy the machine is."""


class Lines:
    """The log lines of a process, as they come."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []
        self._ended = False
        self._came = threading.Condition()

    def read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for text in process.stderr:
            line = json.loads(text) if text.startswith("{") else {"message": text}
            with self._came:
                self._lines.append(line)
                self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()

    @property
    def all(self) -> list[dict[str, Any]]:
        with self._came:
            return list(self._lines)

    def matching(self, **wanted: object) -> list[dict[str, Any]]:
        return [line for line in self.all if wanted.items() <= line.items()]

    def expect(self, *, after: int = 0, **wanted: object) -> dict[str, Any]:
        """Wait for a line with these fields, behind the first `after` lines, and return it."""
        with self._came:
            self._came.wait_for(lambda: self._find(wanted, after) or self._ended, PATIENCE)
            assert self._find(wanted, after), (wanted, self._lines[after:])
            return self._find(wanted, after)[0]

    def _find(self, wanted: dict[str, object], after: int) -> list[dict[str, Any]]:
        return [line for line in self._lines[after:] if wanted.items() <= line.items()]


@dataclass
class Program:
    """A running ``mtls-server``."""

    process: subprocess.Popen[str]
    directory: Path
    world: World
    logs: Lines = field(default_factory=Lines)

    @property
    def port(self) -> int:
        return int(self.logs.expect(message="serving")["port"])

    @property
    def admin_port(self) -> int:
        return int(self.logs.expect(message="admin port open")["port"])

    def ask_admin(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def counts(self) -> Counter[str]:
        """Return what has been counted so far, by name and labels as `/metrics` has them."""
        lines = self.ask_admin("/metrics")[1].splitlines()
        samples = (line.rpartition(" ") for line in lines if line.startswith("mtls_server_"))
        return Counter({name: round(float(value)) for name, _, value in samples if "_total" in name})

    def descriptors(self) -> int:
        """Return how many the process has open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def resident(self) -> float:
        """Return the process's resident memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / (1 << 20)

    def connect(self, caller: pki.Issued | None = None) -> "Connection":
        caller = caller or pki.client(self.world.client_authority)
        context = pki.client_context(self.world.server_authority, caller, self.directory.parent)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        tls = context.wrap_socket(raw, server_hostname="orders", suppress_ragged_eofs=False)
        return Connection(tls, caller)

    def get(self, path: str = "/") -> "Answer":
        """Ask once, on a connection of its own."""
        with self.connect() as connection:
            return connection.get(path)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json["error"]["reason"])


@dataclass
class Connection:
    tls: ssl.SSLSocket
    caller: pki.Issued

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    def send(self, request: bytes) -> None:
        self.tls.sendall(request)

    def answer(self, method: str = "GET") -> Answer:
        response = http.client.HTTPResponse(self.tls, method=method)
        response.fp = self.tls.makefile("rb", 1)  # takes nothing of the next response, if it came along
        response.begin()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def get(self, path: str = "/") -> Answer:
        self.send(f"GET {path} HTTP/1.1\r\nHost: orders\r\n\r\n".encode())
        return self.answer()

    def read_until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            piece = self.tls.recv(65536)
            assert piece, data
            data += piece
        return data

    def ends_with_close_notify(self) -> bool:
        """Whether the next thing the server says is an orderly end; a bare end raises SSLEOFError."""
        return self.tls.recv(1) == b""


@contextlib.contextmanager
def running(
    world: World,
    directory: Path,
    *arguments: str,
    deliver_first: bool = True,
    within: Sequence[str] = (),
) -> Iterator[Program]:
    """Run the server on free loopback ports; `arguments` end in the backend, `within` begins the command."""
    certs = directory / "certs"
    if deliver_first:
        deliver(certs, world.files())
    command = [
        *(*within, sys.executable, "-m", "mtls_server", "--dir", str(certs), "--host", "127.0.0.1"),
        *("--port", "0", "--admin-port", "0", "--drain-delay", "0.1"),
        *arguments,
    ]
    path = os.pathsep.join([str(ROOT / "operator"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        program = Program(process, certs, world)
        reader = threading.Thread(target=program.logs.read, args=(process,))
        reader.start()
        try:
            yield program
        finally:
            if process.poll() is None:
                process.kill()
            reader.join()
