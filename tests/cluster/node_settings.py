import json
from collections.abc import Mapping
from pathlib import Path

from tests.cluster import kubeconfig, pause
from tests.cluster.layout import DOMAIN, Cluster

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
DNS_HEALTH_PORT = 8181
PROXY_HEALTH_PORT = 10256
NO_EVICTION = dict.fromkeys(
    ["memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"], "0%"
)


def containerd(cluster: Cluster) -> list[str]:
    return ["containerd", "--config", str(_write(cluster, "containerd.toml", _containerd(_network(cluster))))]


def kubelet(cluster: Cluster) -> list[str]:
    return [
        "kubelet",
        f"--config={_write_json(cluster, 'kubelet.json', _kubelet(cluster))}",
        f"--kubeconfig={kubeconfig.write_for_node(cluster, 'kubelet')}",
        f"--hostname-override={cluster.node_name}",
        f"--node-ip={cluster.node_address}",
    ]


def kube_proxy(cluster: Cluster) -> list[str]:
    return ["kube-proxy", f"--config={_write_json(cluster, 'kube-proxy.json', _kube_proxy(cluster))}"]


def coredns(cluster: Cluster) -> list[str]:
    return ["coredns", "-conf", str(_write(cluster, "Corefile", _coredns(cluster)))]


def _containerd(network_folder: Path) -> str:
    # Lowering oom_score_adj needs a capability that root may lack; the opt plugin would make /opt/containerd.
    return f"""
version = 3
disabled_plugins = ["io.containerd.internal.v1.opt"]

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause.IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
conf_dir = "{network_folder}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _network(cluster: Cluster) -> Path:
    """Give every pod a link of its own, so that all traffic between pods passes the packet filter."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": str(cluster.pod_network)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": False},
    ]
    configuration = {"cniVersion": "1.0.0", "name": cluster.name, "plugins": plugins}
    return _write_json(cluster, "cni/pods.conflist", configuration).parent


def _kubelet(cluster: Cluster) -> dict[str, object]:
    resolver = _write(cluster, "resolv.conf", f"nameserver {cluster.node_address}\n")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(cluster.node_address),
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": str(cluster.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(cluster.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(cluster.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.system_name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "evictionHard": NO_EVICTION,
        "imageGCHighThresholdPercent": 100,
        "clusterDNS": [str(cluster.node_address)],
        "clusterDomain": DOMAIN,
        "resolvConf": str(resolver),
        "maxPods": 250,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }


def _kube_proxy(cluster: Cluster) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig.write_for_node(cluster, "kube-proxy"))},
        "clusterCIDR": str(cluster.pod_network),
        "conntrack": {"maxPerCore": 0},
        "hostnameOverride": cluster.node_name,
        "healthzBindAddress": f"{cluster.node_address}:{PROXY_HEALTH_PORT}",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def _coredns(cluster: Cluster) -> str:
    """Answer for the cluster's names; no other name exists, as nothing is reached beyond this machine."""
    return f"""
{DOMAIN} in-addr.arpa ip6.arpa {{
    bind {cluster.node_address}
    ready {cluster.node_address}:{DNS_HEALTH_PORT}
    errors
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig.write_for_node(cluster, "coredns")} {cluster.name}
    }}
}}
. {{
    bind {cluster.node_address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _write_json(cluster: Cluster, name: str, content: Mapping[str, object]) -> Path:
    return _write(cluster, name, json.dumps(content, indent=2))


def _write(cluster: Cluster, name: str, content: str) -> Path:
    file = cluster.state / "node" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file
