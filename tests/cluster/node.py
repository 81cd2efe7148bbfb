import contextlib
import http.client
import os
from functools import partial
from http import HTTPStatus
from pathlib import Path

from tests.cluster import api, binaries, cache, cgroups, namespaces, network, node_settings, packages
from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster
from tests.cluster.processes import Daemon
from tests.cluster.progress import step
from tests.cluster.shell import run

DEBIAN_PACKAGES = ["containernetworking-plugins", "iproute2", "iptables", "nftables", "runc", "util-linux"]
DAEMONS = ["containerd", "coredns", "kube-proxy", "kubelet"]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
DNS_RULES = [
    {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]


def start(cluster: Cluster) -> None:
    """Start the node, clearing away first what an earlier one left, and wait until it takes pods."""
    if os.geteuid() != 0:
        raise ClusterError("A node needs namespaces and cgroups: run this as root, or `make control-plane`.")
    packages.require(*DEBIAN_PACKAGES)
    if running(cluster):
        return
    stop(cluster)
    (cluster.state / "node").mkdir(exist_ok=True)
    with step(f"Starting the node {cluster.node_name}"):
        cgroups.create(cluster.system_name)
        namespaces.create(cluster)
        network.connect(cluster)
        _start_containerd(cluster)
        _start_dns(cluster)
        _start(cluster, "kube-proxy", node_settings.kube_proxy(cluster))
        _start(cluster, "kubelet", node_settings.kubelet(cluster))
        _wait_until_ready(cluster)


def stop(cluster: Cluster) -> None:
    """End all processes of the node, if there ever was one, and remove what it has on the machine."""
    if not (cluster.state / "node").exists():
        return
    for name in "kubelet", "kube-proxy", "coredns":
        Daemon(cluster, name).stop()
    cgroups.kill(cluster.system_name)
    Daemon(cluster, "containerd").stop()
    network.disconnect(cluster)
    namespaces.remove(cluster)
    cgroups.remove(cluster.system_name)


def running(cluster: Cluster) -> bool:
    return namespaces.exist(cluster) and all(Daemon(cluster, name).pid() for name in DAEMONS)


def load(cluster: Cluster, *archives: Path) -> None:
    """Import image archives into the node, each but once."""
    for archive in archives:
        mark = cluster.state / "node" / "lib" / "loaded" / cache.key(archive.read_bytes())
        if not mark.exists():
            with step(f"Loading {archive.name} into {cluster.node_name}"):
                _import(cluster, archive)
            mark.parent.mkdir(exist_ok=True)
            mark.touch()


def _start(cluster: Cluster, name: str, command: list[str]) -> None:
    Daemon(cluster, name).start([*namespaces.enter(cluster), *command], binaries.directory())


def _start_containerd(cluster: Cluster) -> None:
    _start(cluster, "containerd", node_settings.containerd(cluster))
    Daemon(cluster, "containerd").wait_until(partial(_containerd_answers, cluster))
    _import(cluster, binaries.directory() / "pause.tar")


def _containerd_answers(cluster: Cluster) -> bool:
    with contextlib.suppress(ClusterError):
        run(*_ctr(cluster), "version")
        return True
    return False


def _import(cluster: Cluster, archive: Path) -> None:
    with archive.open("rb") as content:
        run(*_ctr(cluster), "--namespace", "k8s.io", "images", "import", "-", stdin=content)


def _ctr(cluster: Cluster) -> list[str]:
    ctr = str(binaries.directory() / "ctr")
    return [*namespaces.enter(cluster), ctr, "--address", node_settings.CONTAINERD_SOCKET]


def _start_dns(cluster: Cluster) -> None:
    name = {"name": "system:coredns"}
    reference = {"apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "metadata": name, "rules": DNS_RULES}
    binding = {
        "kind": "ClusterRoleBinding",
        "metadata": name,
        "roleRef": {**reference, "kind": "ClusterRole", **name},
        "subjects": [{**reference, "kind": "User", **name}],
    }
    api.create(cluster, f"{RBAC}/clusterroles", role)
    api.create(cluster, f"{RBAC}/clusterrolebindings", binding)
    _start(cluster, "coredns", node_settings.coredns(cluster))


def _wait_until_ready(cluster: Cluster) -> None:
    dns = partial(_answers, cluster, node_settings.DNS_HEALTH_PORT, "/ready")
    proxy = partial(_answers, cluster, node_settings.PROXY_HEALTH_PORT, "/healthz")
    Daemon(cluster, "coredns").wait_until(dns)
    Daemon(cluster, "kube-proxy").wait_until(proxy)
    Daemon(cluster, "kubelet").wait_until(partial(_is_ready, cluster))


def _answers(cluster: Cluster, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(str(cluster.node_address), port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(*api.UNREACHABLE):
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    return False


def _is_ready(cluster: Cluster) -> bool:
    node = api.get(cluster, f"/api/v1/nodes/{cluster.node_name}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
