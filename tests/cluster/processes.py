import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Daemon:
    """A program that runs until it is stopped, remembered in a file by process id and start time."""

    cluster: Cluster
    name: str

    @property
    def _record(self) -> Path:
        return self.cluster.state / "pids" / self.name

    @property
    def log(self) -> Path:
        return self.cluster.log(self.name)

    def pid(self) -> int | None:
        """Return its process id while it runs; a recycled id has another start time and does not count."""
        try:
            pid, started = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if started and start_time(pid) == started else None

    def start(self, command: list[str], programs: Path) -> None:
        self.log.parent.mkdir(exist_ok=True)
        self._record.parent.mkdir(exist_ok=True)
        path = f"{programs}:{_SYSTEM_PATH}"
        environment = {"PATH": path, "HOME": str(self.cluster.state)}
        appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files: list[tuple[object, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log), appending, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        program = shutil.which(command[0], path=path) or command[0]
        pid = os.posix_spawn(program, command, environment, file_actions=files, setsid=True)
        self._record.write_text(json.dumps([pid, start_time(pid)]))

    def stop(self, *, kill: bool = False) -> None:
        """End it, by force where it does not end by itself within half a minute."""
        if pid := self.pid():
            _signal(pid, signal.SIGKILL if kill else signal.SIGTERM)
            if not _wait(lambda: self.pid() is None, seconds=30):
                _signal(pid, signal.SIGKILL)
                _wait(lambda: self.pid() is None, seconds=10)
        self._record.unlink(missing_ok=True)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        if _wait(lambda: self.pid() is None or ready(), seconds=seconds) and self.pid():
            return
        happened = f"was not ready within {seconds:.0f} s" if self.pid() else "ended"
        raise ClusterError(f"{self.name} {happened}; mend what its log names and run this again.", self.log)


def start_time(pid: int) -> str | None:
    """Return what tells this process from a later one with the same id, or None where it has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {fields[19]}" if fields[0] != "Z" else None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
