"""What is measured: load with connections kept or new, and memory of idle connections."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.processes import CLIENT_CORE, Process, pinned

HERE = Path(__file__).parent
KEEP_ALIVE, HANDSHAKE = "keep-alive", "handshake"
MODES = (KEEP_ALIVE, HANDSHAKE)


class Report(msgspec.Struct):
    """What the load client prints; times in seconds."""

    requests: int
    errors: int
    seconds: float
    p50: float
    p99: float
    error: str


@dataclass
class Figures:
    """What the rounds of one server in one mode gave."""

    rates: list[float] = field(default_factory=list)
    """Requests a second."""
    cpu: list[float] = field(default_factory=list)
    """Microseconds of the server's processor time for each request."""
    p50: list[float] = field(default_factory=list)
    """Milliseconds."""
    p99: list[float] = field(default_factory=list)
    """Milliseconds."""

    @property
    def rate(self) -> float:
        """The median of the rates."""
        return median(self.rates)

    @property
    def cost(self) -> float:
        """The median of the processor times."""
        return median(self.cpu)


@dataclass
class Result:
    """What is known of one server."""

    name: str
    modes: Mapping[str, Figures] = field(default_factory=lambda: {mode: Figures() for mode in MODES})
    kib_per_connection: float = 0.0
    """Resident memory that an idle connection takes."""


@dataclass(frozen=True)
class LoadClient:
    """The program in ``load/``, on a core of its own."""

    command: Sequence[str]

    def load(self, port: int, mode: str, seconds: float, connections: int = 32) -> Report:
        """Put load on a server and return what came back.

        Raises:
            SystemExit: the client failed.
        """
        command = [*self._at(port), f"-handshake={str(mode == HANDSHAKE).lower()}"]
        command += [f"-duration={seconds}s", f"-connections={connections}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return msgspec.json.decode(done.stdout, type=Report)

    @contextmanager
    def held(self, port: int, connections: int) -> Iterator[None]:
        """Keep idle connections open, each after one request."""
        command = [*self._at(port), f"-hold={connections}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            if client.stdout.readline() != b"held\n":
                sys.exit(f"the load client could not hold {connections} connections")
            yield
            client.stdin.close()

    def _at(self, port: int) -> list[str]:
        return [*self.command, f"-address=127.0.0.1:{port}"]


def compile_load_client(directory: Path, group: str) -> LoadClient:
    """Compile the load client; it finds its certificate and the server's authority in the directory.

    Args:
        directory: the program is put there.
        group: of the key exchange, so that nobody is compared under another.
    """
    go = shutil.which("go")
    if go is None:
        sys.exit("the load client needs Go; install it (https://go.dev/dl) and try again")
    program = str(directory / "load")
    subprocess.run([go, "-C", str(HERE / "load"), "build", "-o", program, "."], check=True)
    return LoadClient(
        [
            *(*pinned(CLIENT_CORE), program, f"-certificate={directory}/client.pem", f"-group={group}"),
            f"-authority={directory}/server-authority.pem",
        ]
    )


def measure_load(client: LoadClient, result: Result, server: Process, mode: str, seconds: float) -> None:
    """Add one round to a server's result."""
    before = server.cpu_seconds()
    report = client.load(server.port, mode, seconds)
    if report.errors:
        sys.exit(f"{result.name} failed {report.errors} clients, the last with: {report.error}")
    figures = result.modes[mode]
    figures.rates.append(report.requests / report.seconds)
    figures.cpu.append((server.cpu_seconds() - before) * 1e6 / report.requests)
    figures.p50.append(report.p50 * 1e3)
    figures.p99.append(report.p99 * 1e3)


def measure_memory(client: LoadClient, server: Process, connections: int) -> float:
    """Return the KiB that an idle connection takes of a fresh server."""
    client.load(server.port, HANDSHAKE, 0.3)
    before = server.resident_kib()
    with client.held(server.port, connections):
        return (server.resident_kib() - before) / connections
