import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.layout import Cluster
from tests.cluster.shell import run

KINDS = {"net": "net", "mount": "mnt"}


def create(cluster: Cluster) -> None:
    """Make the node's network and mount namespaces, held by files in the cluster's state.

    In the mount namespace /run, /var/lib and /var/log are the node's own: what its programs mount or leave
    there is not seen by the host, and all mounts go with the namespace.
    """
    folder = _handles(cluster)
    folder.mkdir(exist_ok=True)
    run("mount", "--bind", folder, folder)
    run("mount", "--make-private", folder)
    for kind in KINDS:
        (folder / kind).touch()
    run("unshare", *_options(cluster), "true")
    enter = ["nsenter", *_options(cluster)]
    run(*enter, "umount", "--all", "--types", "nsfs")
    run(*enter, "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for path in "lib", "log":
        own = cluster.state / "node" / path
        own.mkdir(parents=True, exist_ok=True)
        run(*enter, "mount", "--bind", own, f"/var/{path}")


def remove(cluster: Cluster) -> None:
    """End every process that is still in one of the namespaces and let go of them."""
    while members := list(_members(cluster)):
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for mount_point in _mounted(cluster.state):
        run("umount", mount_point)


def enter(cluster: Cluster, *kinds: str) -> list[str]:
    """Return what to put before a command so that it runs in these namespaces of the node."""
    return ["nsenter", *_options(cluster, *kinds), "--"]


def exist(cluster: Cluster) -> bool:
    return all(str(_handles(cluster) / kind) in _mounted(cluster.state) for kind in KINDS)


def handle(cluster: Cluster, kind: str) -> Path:
    return _handles(cluster) / kind


def _handles(cluster: Cluster) -> Path:
    return cluster.state / "namespaces"


def _options(cluster: Cluster, *kinds: str) -> list[str]:
    return [f"--{kind}={handle(cluster, kind)}" for kind in kinds or KINDS]


def _mounted(below: Path) -> list[str]:
    """Return the mount points below a folder, innermost and latest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    return [point for point in reversed(points) if Path(point).is_relative_to(below)]


def _members(cluster: Cluster) -> Iterator[int]:
    if not exist(cluster):
        return
    inodes = {file: handle(cluster, kind).stat().st_ino for kind, file in KINDS.items()}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if any((process / "ns" / file).stat().st_ino == inode for file, inode in inodes.items()):
                    yield int(process.name)
