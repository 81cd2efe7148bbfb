import os
import re
import shutil
import socket
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from tests.cluster import cache
from tests.cluster.errors import ClusterError

DEFAULT_NAME = "mtls"
DOMAIN = "cluster.local"

# All addresses come from the block that is reserved for benchmarks, so that they never meet a real network.
_LINKS = IPv4Network("198.18.0.0/16")
_PODS_AND_SERVICES = IPv4Network("198.19.0.0/16")
_MOST_CLUSTERS = 64
_FIRST_PORT = 20000


class Port(IntEnum):
    """Loopback ports of the control plane, counted from the cluster's first."""

    API = 0
    ETCD = 1
    ETCD_PEER = 2
    CONTROLLER_MANAGER = 3
    SCHEDULER = 4


@dataclass(frozen=True)
class Cluster:
    """Where one cluster lives; ports, addresses and the names of its interfaces follow from its index."""

    name: str
    index: int

    @property
    def state(self) -> Path:
        return clusters() / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def audit_log(self) -> Path:
        """One JSON object a line: every request that the API server answered, without bodies."""
        return self.state / "audit.log"

    def log(self, daemon: str) -> Path:
        return self.state / "logs" / f"{daemon}.log"

    def port(self, port: Port) -> int:
        return _FIRST_PORT + len(Port) * self.index + port

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port(Port.API)}"

    @property
    def host_address(self) -> IPv4Address:
        """The host's end of the link to the node."""
        return self._link[1]

    @property
    def node_address(self) -> IPv4Address:
        return self._link[2]

    @property
    def _link(self) -> IPv4Network:
        return IPv4Network((int(_LINKS.network_address) + 4 * self.index, 30))

    @property
    def pod_network(self) -> IPv4Network:
        return IPv4Network((int(_PODS_AND_SERVICES.network_address) + 1024 * self.index, 23))

    @property
    def service_network(self) -> IPv4Network:
        return IPv4Network((int(self.pod_network.network_address) + 512, 23))

    @property
    def node_name(self) -> str:
        return f"{self.name}-node"

    @property
    def system_name(self) -> str:
        """What the cluster's cgroup and packet filter table are called on the host."""
        return f"mtls-operator-{self.name}"

    @property
    def host_interface(self) -> str:
        return f"mtls{self.index}"


def clusters() -> Path:
    return cache.root() / "clusters"


def default_name() -> str:
    return os.environ.get("MTLS_CLUSTER") or DEFAULT_NAME


def lock(name: str) -> Path:
    return clusters() / f".{_checked(name)}.lock"


def find(name: str) -> Cluster | None:
    """Return the cluster of this name, running or not, if it has a state."""
    index = clusters() / _checked(name) / "index"
    return Cluster(name, int(index.read_text())) if index.exists() else None


def allocate(name: str) -> Cluster:
    """Return the cluster of this name, giving a new one the first index whose ports are free."""
    with cache.locked(clusters() / ".allocation.lock"):
        if found := find(name):
            return found
        taken = {int(index.read_text()) for index in clusters().glob("*/index")}
        for index in range(_MOST_CLUSTERS):
            cluster = Cluster(name, index)
            if index not in taken and all(_free(cluster.port(port)) for port in Port):
                shutil.rmtree(cluster.state, ignore_errors=True)
                cluster.state.mkdir(mode=0o700)
                (cluster.state / "index").write_text(str(index))
                return cluster
    raise ClusterError(f"All {_MOST_CLUSTERS} places for clusters are taken; stop one with `down`.")


def _checked(name: str) -> str:
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", name):
        raise ClusterError(
            f"{name!r} cannot name a cluster; use lower-case letters, digits and inner hyphens."
        )
    return name


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
