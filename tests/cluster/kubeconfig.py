import base64
import json
from pathlib import Path

from tests.cluster.layout import Cluster, Port


def write(cluster: Cluster, user: str, server: str | None = None, file: Path | None = None) -> Path:
    """Write a self-contained kubeconfig (JSON, which is YAML too) for the user with this certificate."""
    file = file or cluster.state / "kubeconfigs" / user
    file.parent.mkdir(exist_ok=True)
    api = {"server": server or cluster.server, "certificate-authority-data": _data(cluster.pki / "ca.crt")}
    identity = {
        "client-certificate-data": _data(cluster.pki / f"{user}.crt"),
        "client-key-data": _data(cluster.pki / f"{user}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster.name, "cluster": api}],
        "users": [{"name": user, "user": identity}],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": user}}],
        "current-context": cluster.name,
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(config, indent=2))
    return file


def write_for_node(cluster: Cluster, user: str) -> Path:
    """Write one for a program on the node, which reaches the API server by the host's end of the link."""
    return write(cluster, user, f"https://{cluster.host_address}:{cluster.port(Port.API)}")


def _data(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
