import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.errors import ClusterError

_CONTROLLERS = {"cpu", "cpuset", "io", "memory", "pids"}


def create(name: str) -> None:
    """Make the group in every hierarchy of this machine, be they of version 1 or 2."""
    for hierarchy, version in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        if version == "cgroup2":
            available = _CONTROLLERS.intersection((hierarchy / "cgroup.controllers").read_text().split())
            for group in hierarchy, hierarchy / name:
                (group / "cgroup.subtree_control").write_text(
                    " ".join(f"+{controller}" for controller in available)
                )


def kill(name: str) -> None:
    """End every process in the group, which therefore can be no other's."""
    for group in _groups(name):
        for pid in _processes(group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def remove(name: str) -> None:
    """Remove the group once its last process has gone."""
    deadline = time.monotonic() + 30
    while groups := _groups(name):
        kill(name)
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()
        if time.monotonic() > deadline:
            raise ClusterError(f"The cgroup {groups[-1]} does not empty; see {groups[-1] / 'cgroup.procs'}.")
        time.sleep(0.02)


def _hierarchies() -> Iterator[tuple[Path, str]]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount_point, kind, *_ = line.split()
        if kind in {"cgroup", "cgroup2"}:
            yield Path(mount_point), kind


def _groups(name: str) -> list[Path]:
    """Return the group and those below it in all hierarchies, innermost first."""
    found = []
    for hierarchy, _ in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            found.append(Path(folder))
    return found


def _processes(group: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    return []
