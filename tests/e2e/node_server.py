"""The server of `node/`, written by hand in Node.js, as it runs on a Secret of ours without knowing of it."""

from pathlib import Path

from tests.cluster import images, node
from tests.cluster.layout import Cluster
from tests.e2e.reader import Object

IMAGE = "localhost/node-server:e2e"
SOURCES = Path(__file__).parent / "node"
FILES = {"tls.key": "server.key", "tls.crt": "server.crt", "ca.crt": "ca.pem"}
"""Key of our Secret to the file that the server reads."""


def load_image(cluster: Cluster) -> None:
    """Give the node an image with Debian's Node.js and the server, nothing of ours."""
    node.load(cluster, images.archive_of(SOURCES, IMAGE))


def pod_spec(secret: str) -> Object:
    """Return what a pod says that runs it on this Secret."""
    items = [{"key": key, "path": file} for key, file in FILES.items()]
    container = {
        "name": "server",
        "image": IMAGE,
        "volumeMounts": [{"name": "certs", "mountPath": "/certs", "readOnly": True}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
    }
    volume = {"name": "certs", "secret": {"secretName": secret, "items": items}}
    return {"containers": [container], "volumes": [volume], "automountServiceAccountToken": False}
