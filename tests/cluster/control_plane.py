import json
from functools import partial
from pathlib import Path

from tests.cluster import api, binaries, certificates, kubeconfig
from tests.cluster.layout import DOMAIN, Cluster, Port
from tests.cluster.processes import Daemon
from tests.cluster.progress import step

Flags = dict[str, object]

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

# The controller manager has made this once it works, and no pod is admitted before.
DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"

DAEMONS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]


def start(cluster: Cluster) -> None:
    """Start whatever does not run of the control plane and wait until all of it answers."""
    programs = binaries.directory()
    certificates.create(cluster)
    kubeconfig.write(cluster, "admin", file=cluster.kubeconfig)
    with step(f"Starting the control plane of {cluster.name}"):
        _start(cluster, "etcd", _etcd(cluster), programs)
        _start(cluster, "kube-apiserver", _apiserver(cluster), programs)
        _wait_for(cluster, "kube-apiserver", Port.API, "/readyz")
        _start(cluster, "kube-controller-manager", _controller_manager(cluster), programs)
        _start(cluster, "kube-scheduler", _component(cluster, "kube-scheduler", Port.SCHEDULER), programs)
        _wait_for(cluster, "kube-scheduler", Port.SCHEDULER, "/healthz")
        _wait_for(cluster, "kube-controller-manager", Port.CONTROLLER_MANAGER, "/healthz")
        _wait_for(cluster, "kube-controller-manager", Port.API, DEFAULT_ACCOUNT)


def stop(cluster: Cluster) -> None:
    for name in reversed(DAEMONS):
        Daemon(cluster, name).stop()


def running(cluster: Cluster) -> bool:
    return all(Daemon(cluster, name).pid() for name in DAEMONS)


def stop_apiserver(cluster: Cluster, *, kill: bool = False) -> None:
    """Stop the API server alone; `start` brings it back."""
    Daemon(cluster, "kube-apiserver").stop(kill=kill)


def _wait_for(cluster: Cluster, name: str, port: Port, path: str) -> None:
    Daemon(cluster, name).wait_until(partial(api.succeeds, cluster, path, port))


def _start(cluster: Cluster, name: str, flags: Flags, programs: Path) -> None:
    daemon = Daemon(cluster, name)
    if not daemon.pid():
        daemon.start([name, *(f"--{flag}={value}" for flag, value in flags.items())], programs)


def _etcd(cluster: Cluster) -> Flags:
    client = f"https://127.0.0.1:{cluster.port(Port.ETCD)}"
    peer = f"https://127.0.0.1:{cluster.port(Port.ETCD_PEER)}"
    return {
        "name": cluster.name,
        "data-dir": cluster.state / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"{cluster.name}={peer}",
        "unsafe-no-fsync": "true",
        **_etcd_identity(cluster, "", "trusted-ca-file"),
        **_etcd_identity(cluster, "peer-", "peer-trusted-ca-file"),
        "client-cert-auth": "true",
        "peer-client-cert-auth": "true",
        "log-level": "warn",
    }


def _etcd_identity(cluster: Cluster, prefix: str, trust: str) -> Flags:
    return {
        f"{prefix}cert-file": cluster.pki / "etcd.crt",
        f"{prefix}key-file": cluster.pki / "etcd.key",
        trust: cluster.pki / "etcd-ca.crt",
    }


def _apiserver(cluster: Cluster) -> Flags:
    pki = cluster.pki
    return {
        "bind-address": "127.0.0.1",
        "secure-port": cluster.port(Port.API),
        "advertise-address": cluster.host_address,
        "etcd-servers": f"https://127.0.0.1:{cluster.port(Port.ETCD)}",
        "etcd-cafile": pki / "etcd-ca.crt",
        "etcd-certfile": pki / "etcd-client.crt",
        "etcd-keyfile": pki / "etcd-client.key",
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "kubelet-certificate-authority": pki / "ca.crt",
        "kubelet-client-certificate": pki / "apiserver-kubelet-client.crt",
        "kubelet-client-key": pki / "apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": pki / "front-proxy.crt",
        "proxy-client-key-file": pki / "front-proxy.key",
        "service-account-issuer": f"https://kubernetes.default.svc.{DOMAIN}",
        "service-account-key-file": pki / "service-account.pub",
        "service-account-signing-key-file": pki / "service-account.key",
        "service-cluster-ip-range": cluster.service_network,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "enable-aggregator-routing": "true",
        "audit-policy-file": _write(cluster, "audit-policy.json", AUDIT_POLICY),
        "audit-log-path": cluster.audit_log,
        "audit-log-maxsize": 10_000,  # megabytes: a reader of the log keeps its place
        "shutdown-watch-termination-grace-period": "1s",
    }


def _controller_manager(cluster: Cluster) -> Flags:
    return {
        **_component(cluster, "kube-controller-manager", Port.CONTROLLER_MANAGER),
        "use-service-account-credentials": "true",
        "service-account-private-key-file": cluster.pki / "service-account.key",
        "root-ca-file": cluster.pki / "ca.crt",
        "cluster-signing-cert-file": cluster.pki / "ca.crt",
        "cluster-signing-key-file": cluster.pki / "ca.key",
        "cluster-name": cluster.name,
        "kube-api-qps": 500,
        "kube-api-burst": 1000,
    }


def _component(cluster: Cluster, name: str, port: Port) -> Flags:
    config = kubeconfig.write(cluster, name)
    return {
        "bind-address": "127.0.0.1",
        "secure-port": cluster.port(port),
        "tls-cert-file": cluster.pki / f"{name}.crt",
        "tls-private-key-file": cluster.pki / f"{name}.key",
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "leader-elect": "false",
    }


def _write(cluster: Cluster, file: str, content: object) -> Path:
    path = cluster.state / file
    path.write_text(json.dumps(content, indent=2))
    return path
