"""Processes that are measured, and what the kernel says of them and of those that they started."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
SERVER_CORE, CLIENT_CORE = 0, 1
PATIENCE_SECONDS = 20
_ports = itertools.count(21000, 2)


@dataclass(frozen=True)
class Process:
    """A running server."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Processor time in user and kernel mode (proc(5): fields 14 and 15; the 2nd may hold spaces)."""
        ticks = 0
        for pid in self._tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_kib(self) -> int:
        """Resident memory."""
        statuses = (Path(f"/proc/{pid}/status").read_text() for pid in self._tree())
        return sum(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses)

    def _tree(self) -> list[int]:
        """Some servers work in children."""
        tree = [self.pid]
        for pid in tree:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                tree += map(int, (thread / "children").read_text().split())
        return tree


@contextlib.contextmanager
def running(name: str, command: Sequence[str], port: int) -> Iterator[Process]:
    """Start a server on its core and wait until it listens; kill it, and what it started, in the end.

    Args:
        name: of the server.
        command: starts it.
        port: it listens on.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*pinned(SERVER_CORE), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **ENVIRONMENT},
            start_new_session=True,
        )
        try:
            if not _listens(port, process):
                log.seek(0)
                sys.exit(f"{name} did not start:\n{log.read().decode(errors='replace')}")
            yield Process(process.pid, port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def pinned(core: int) -> list[str]:
    """Return the beginning of a command that runs the rest on one core."""
    return ["taskset", "--cpu-list", str(core)]


def free_port() -> int:
    """Return a port of the loopback that is free, as is the next; the kernel gives clients higher ones."""
    return next(port for port in _ports if _is_free(port) and _is_free(port + 1))


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.05)
    return False
