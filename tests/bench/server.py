"""Measures this server beside uvicorn's own TLS and Node's https: ``make bench-server``.

Each server runs on one pinned core and the load client on another; rounds are interleaved, so that what
else the machine does falls on all of them. All answer with the same JSON.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.unit.server import pki

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVER_CORE, CLIENT_CORE = 0, 1
MODES = ("keep-alive", "handshake")
RIVALS = ("uvicorn", "node https")
PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Contender:
    """A server to measure."""

    name: str
    port: int
    command: Sequence[str]


@dataclass
class Result:
    """What the rounds of one server in one mode gave."""

    rates: list[float] = field(default_factory=list)
    """Requests a second."""
    cpu: list[float] = field(default_factory=list)
    """Microseconds of the server's processor time for each request."""
    p99: list[float] = field(default_factory=list)
    """Milliseconds."""


@dataclass(frozen=True)
class Server:
    """A running contender."""

    contender: Contender
    pid: int
    idle_mib: float
    """Resident memory before the first request."""
    results: Mapping[str, Result] = field(default_factory=lambda: {mode: Result() for mode in MODES})


def main() -> None:
    given = _arguments()
    _require_server(given.python)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        directory = Path(folder)
        _write_certificates(directory)
        load = _compile_load_client(directory)
        servers = [running.enter_context(_running(one)) for one in _contenders(directory, given.python)]
        for number in range(given.rounds):
            for mode in MODES:
                for server in servers:
                    progress = f"round {number + 1} of {given.rounds}: {mode}, {server.contender.name}"
                    print(f"\r{progress:<79}", end="", file=sys.stderr)
                    _measure(server, mode, [*load, f"-duration={given.seconds}s"])
    print(f"\r{'':<79}\r", end="", file=sys.stderr)
    print(_table(servers))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.server", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="of a measurement (default: %(default)g)")
    parser.add_argument(
        "--python", default=sys.executable, help="runs the Python servers (default: this one)"
    )
    return parser.parse_args()


def _require_server(python: str) -> None:
    check = "import sys, httptools, msgspec, uvicorn, uvloop; sys.exit(sys.version_info < (3, 13))"
    if subprocess.run([python, "-c", check], capture_output=True, check=False).returncode:
        sys.exit(
            f"{python} cannot run the servers: they need Python 3.13 and requirements/server.txt;"
            " name one that has them: make bench-server BENCH='--python PATH'"
        )


def _write_certificates(directory: Path) -> None:
    server_authority, client_authority = pki.authority("server authority"), pki.authority("client authority")
    for name, contents in pki.files(pki.server(server_authority), client_authority).items():
        (directory / name).write_bytes(contents)
    client = pki.client(client_authority)
    (directory / "client.pem").write_bytes(client.pem + client.key_pem)
    (directory / "server-authority.pem").write_bytes(server_authority.pem)


def _compile_load_client(directory: Path) -> list[str]:
    """Return the command; it still wants address, mode and duration."""
    go = shutil.which("go")
    if go is None:
        sys.exit("the load client needs Go; install it (https://go.dev/dl) and try again")
    program = str(directory / "load")
    subprocess.run([go, "-C", str(HERE / "load"), "build", "-o", program, "."], check=True)
    return [
        *_pinned(CLIENT_CORE),
        program,
        f"-certificate={directory}/client.pem",
        f"-authority={directory}/server-authority.pem",
    ]


def _contenders(directory: Path, python: str) -> Iterator[Contender]:
    ports = iter(_free_ports(4))
    for backend in (["identity"], ["asgi", "tests.bench.apps:app"]):
        port = next(ports)
        command = [python, "-m", "mtls_server", f"--dir={directory}", "--host=127.0.0.1", f"--port={port}"]
        yield Contender(f"mtls-server {backend[0]}", port, [*command, "--admin-port=0", *backend])
    port = next(ports)
    command = [python, "-m", "uvicorn", f"--port={port}", "--loop=uvloop", "--http=httptools"]
    command += [
        "--no-access-log",
        "--lifespan=off",
        "--ssl-cert-reqs=2",
        f"--ssl-certfile={directory}/tls.crt",
    ]
    command += [f"--ssl-keyfile={directory}/tls.key", f"--ssl-ca-certs={directory}/ca.crt"]
    yield Contender(RIVALS[0], port, [*command, "tests.bench.apps:app"])
    node = shutil.which("node")
    if node is None:
        print("Node's https is left out; install nodejs to measure it", file=sys.stderr)
    else:
        port = next(ports)
        yield Contender(RIVALS[1], port, [node, str(HERE / "node_server.mjs"), str(directory), str(port)])


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def _running(contender: Contender) -> Iterator[Server]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
    command = [*_pinned(SERVER_CORE), *contender.command]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        try:
            if not _listens(contender.port, process):
                log.seek(0)
                sys.exit(f"{contender.name} did not start:\n{log.read().decode(errors='replace')}")
            yield Server(contender, process.pid, _resident_mib(process.pid))
        finally:
            process.kill()
            process.wait()


def _pinned(core: int) -> list[str]:
    return ["taskset", "--cpu-list", str(core)]


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.05)
    return False


def _measure(server: Server, mode: str, load: Sequence[str]) -> None:
    command = [*load, f"-address=127.0.0.1:{server.contender.port}", f"-handshake={mode == 'handshake'}"]
    before = _cpu_seconds(server.pid)
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if report["errors"]:
        sys.exit(
            f"{server.contender.name} failed {report['errors']} clients, the last with: {report['error']}"
        )
    result = server.results[mode]
    result.rates.append(report["requests"] / report["seconds"])
    result.cpu.append((_cpu_seconds(server.pid) - before) * 1e6 / report["requests"])
    result.p99.append(report["p99"] * 1e3)


def _cpu_seconds(pid: int) -> float:
    """proc(5): utime and stime are the 14th and 15th field; the 2nd may hold spaces."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def _table(servers: Sequence[Server]) -> str:
    """Return a Markdown table: medians, and how our rates compare with each rival's."""
    rivals = [server for server in servers if server.contender.name in RIVALS]
    head = ["server", "idle MiB"]
    for mode in MODES:
        head += [f"{mode} req/s", "µs CPU", "p99 ms", *(f"x {rival.contender.name}" for rival in rivals)]
    lines = [head, ["---"] * len(head)]
    for server in servers:
        line = [server.contender.name, f"{server.idle_mib:.0f}"]
        for mode in MODES:
            result = server.results[mode]
            rate = median(result.rates)
            line += [f"{rate:,.0f}", f"{median(result.cpu):.1f}", f"{median(result.p99):.1f}"]
            line += [f"{rate / median(rival.results[mode].rates):.2f}" for rival in rivals]
        lines.append(line)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
