"""What goes wrong on a node: the operator is killed, a pod keeps old files, another can not be asked."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import namespaces
from tests.cluster.layout import Cluster
from tests.cluster.shell import run
from tests.e2e.reader import Object

VOLUME = "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~secret/mtls"


def kill(pod: Object, program: str) -> None:
    """End the processes of one program in a pod at once, with no chance to say anything."""
    pids = list(_processes(pod, program))
    assert pids, f"no {program} runs in {pod['metadata']['name']}"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def hold_stale(cluster: Cluster, pod: Object) -> None:
    """Let kubelet write nothing more to the volume with the server's files."""
    volume = VOLUME.format(uid=pod["metadata"]["uid"])
    run(*namespaces.enter(cluster), "mount", "-o", "remount,ro", volume)


def cut_off(pod: Object, other: Object) -> None:
    """Let nothing that a pod sends reach another one."""
    pid = next(_processes(pod, "mtls-server"))
    unreachable = f"{other['status']['podIP']}/32"
    run("nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip", "route", "add", "blackhole", unreachable)


def _processes(pod: Object, program: str) -> Iterator[int]:
    uid = pod["metadata"]["uid"]
    spellings = uid, uid.replace("-", "_")
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            groups, command = (process / "cgroup").read_text(), (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if program.encode() in command and any(spelling in groups for spelling in spellings):
            yield int(process.name)
