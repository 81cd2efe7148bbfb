"""What is measured: load with connections kept or new, memory of idle connections, reloads under load."""

import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.processes import CLIENT_CORE, PATIENCE_SECONDS, Process, pinned

HERE = Path(__file__).parent
KEEP_ALIVE, HANDSHAKE = "keep-alive", "handshake"
MODES = (KEEP_ALIVE, HANDSHAKE)
RELOAD_SECONDS = 0.06
"""A delivery takes at least so long to serve, so nobody need ask before."""


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


@dataclass(frozen=True)
class Reloads:
    """What clients saw while the files were replaced again and again, and while they were not."""

    count: int
    errors: int
    seconds: float
    without: Mapping[str, float]
    """99th percentile in milliseconds by mode."""
    during: Mapping[str, float]


def measure_reloads(
    client: LoadClient, port: int, count: int, deliver: Callable[[int], None], slice_seconds: float = 3.0
) -> Reloads:
    """Replace the files under load, the next time when the last delivery serves; half of the time do not.

    Slices with and without reloads take turns, so what else the machine does falls on both; so do the
    questions which generation serves.

    Args:
        client: puts both kinds of load on the server at once.
        port: the server's; its admin port is the next.
        count: of reloads, at least.
        deliver: mounts new files; takes the number of the delivery.
        slice_seconds: how long the clients run before their reports are read.
    """
    first = _generation(port)
    quiet, busy = [], []
    while _generation(port) < first + count:
        with _repeating(lambda: _await_generation(port, 0)):
            quiet.append(_both(client, port, slice_seconds))
        with _repeating(lambda: _reload(port, deliver)):
            busy.append(_both(client, port, slice_seconds))
    return Reloads(
        count=_generation(port) - first,
        errors=sum(report.errors for reports in (*quiet, *busy) for report in reports.values()),
        seconds=slice_seconds * len(busy),
        without=_p99(quiet),
        during=_p99(busy),
    )


def _reload(port: int, deliver: Callable[[int], None]) -> None:
    number = _generation(port) + 1
    deliver(number)
    _await_generation(port, number)


@contextmanager
def _repeating(action: Callable[[], None]) -> Iterator[None]:
    enough = threading.Event()

    def repeat() -> None:
        while not enough.is_set():
            action()

    with ThreadPoolExecutor(1) as pool:
        repeated = pool.submit(repeat)
        try:
            yield
        finally:
            enough.set()
    repeated.result()


def _both(client: LoadClient, port: int, seconds: float) -> dict[str, Report]:
    reports: dict[str, Report] = {}
    threads = [
        threading.Thread(target=lambda mode=mode: reports.update({mode: client.load(port, mode, seconds, 4)}))
        for mode in MODES
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reports


def _p99(slices: Sequence[Mapping[str, Report]]) -> dict[str, float]:
    return {mode: median(reports[mode].p99 for reports in slices) * 1e3 for mode in MODES}


def _await_generation(port: int, number: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    time.sleep(RELOAD_SECONDS)
    while _generation(port) < number:
        if time.monotonic() > deadline:
            sys.exit(f"generation {number} did not come to serve")
        time.sleep(0.01)


def _generation(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/state", timeout=10) as answer:
        number: int = json.load(answer)["generation"]
    return number
