"""What a cluster has on the machine: what the kernel tells, not what was recorded."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from tests.cluster import Cluster

LISTENING = "0A"


def processes(cluster: Cluster) -> list[int]:
    """Return its daemons and their children, known by their home, and what runs in its pods."""
    return [pid for pid in _pids() if _belongs(pid, cluster)]


def leftovers(cluster: Cluster, network_namespace: int) -> dict[str, list[str]]:
    """Return whatever of the cluster is still on the machine, by kind."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    own = str(cluster.state), f"net:[{network_namespace}]"
    found = {
        "processes": [str(pid) for pid in processes(cluster)],
        "mounts": [line for line in mounts if any(mark in line for mark in own)],
        "namespaces": [str(pid) for pid in _pids() if _network_namespace(pid) == network_namespace],
        "interfaces": [path.name for path in Path("/sys/class/net").glob(cluster.host_interface)],
        "routes": [route for route in _routes() if _concerns(route, cluster)],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{cluster.system_name}")],
        "packet filter": [name for name in _tables() if name == f"mtls_operator_{cluster.index}"],
        "files": [str(path) for path in [cluster.state] if path.exists()],
    }
    return {kind: items for kind, items in found.items() if items}


def network_namespace(cluster: Cluster) -> int:
    """Return the number of the node's network namespace."""
    kubelet = next(pid for pid in processes(cluster) if program(pid) == "kubelet")
    return Path(f"/proc/{kubelet}/ns/net").stat().st_ino


def program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@dataclass(frozen=True)
class Listener:
    program: str
    address: IPv4Address | IPv6Address
    port: int


def listeners(cluster: Cluster) -> list[Listener]:
    """Return every TCP socket on which a process of the cluster listens, in whichever namespace it is."""
    return [listener for pid in processes(cluster) for listener in _listeners(pid)]


def _listeners(pid: int) -> Iterator[Listener]:
    sockets = _sockets(pid)
    for table in "tcp", "tcp6":
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and inode in sockets:
                address, port = local.split(":")
                yield Listener(program(pid), _address(address), int(port, 16))


def _sockets(pid: int) -> set[str]:
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(link.readlink()))
    return {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}


def _address(hexadecimal: str) -> IPv4Address | IPv6Address:
    """Read an address as the kernel prints it: in words of 32 bits, each in the machine's byte order."""
    words = [hexadecimal[i : i + 8] for i in range(0, len(hexadecimal), 8)]
    return ip_address(b"".join(socket.htonl(int(word, 16)).to_bytes(4, "big") for word in words))


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _belongs(pid: int, cluster: Cluster) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        in_pod = f"/{cluster.system_name}/" in Path(f"/proc/{pid}/cgroup").read_text()
        return in_pod or _home(pid) == str(cluster.state)
    return False


def _home(pid: int) -> str | None:
    for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if variable.startswith(b"HOME="):
            return variable.removeprefix(b"HOME=").decode()
    return None


def _network_namespace(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    return None


def _routes() -> list[str]:
    return subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout.splitlines()


def _concerns(route: str, cluster: Cluster) -> bool:
    return any(str(network) in route for network in (cluster.pod_network, cluster.service_network))


def _tables() -> list[str]:
    command = ["nft", "--json", "list", "tables"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [entry["table"]["name"] for entry in answer["nftables"] if "table" in entry]
