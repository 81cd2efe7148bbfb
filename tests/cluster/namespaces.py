import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster
from tests.cluster.shell import run

KINDS = {"net": "net", "mount": "mnt"}

# What the node does not share with the host, and where in the cluster's state it is kept over a restart.
OWN = {"/run": None, "/var/lib": "node/lib", "/var/log": "node/log"}


def create(cluster: Cluster) -> None:
    """Make the node's network and mount namespaces, held by files in the cluster's state.

    What the node's programs mount is not seen by the host, and goes with the namespace.
    """
    hidden = [path for path in OWN if cluster.state.is_relative_to(path)]
    if hidden:
        raise ClusterError(
            f"The node cannot see {cluster.state} as it has its own {hidden[0]}: set MTLS_CACHE."
        )
    folder = _handles(cluster)
    folder.mkdir(exist_ok=True)
    run("mount", "--bind", folder, folder)
    run("mount", "--make-private", folder)
    for kind in KINDS:
        (folder / kind).touch()
    run("unshare", *_options(cluster), "true")
    enter = ["nsenter", *_options(cluster)]
    run(*enter, "umount", "--all", "--types", "nsfs")
    for path, kept in OWN.items():
        if kept:
            (cluster.state / kept).mkdir(parents=True, exist_ok=True)
            run(*enter, "mount", "--bind", cluster.state / kept, path)
        else:
            run(*enter, "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path)


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
