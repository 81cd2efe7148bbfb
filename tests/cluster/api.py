import contextlib
import http.client
import json
import ssl
from http import HTTPStatus
from typing import Any

from tests.cluster.errors import ClusterError
from tests.cluster.layout import Cluster, Port

UNREACHABLE = OSError, http.client.HTTPException


def get(cluster: Cluster, path: str) -> dict[str, Any] | None:
    """Return an object, or None where the API server has none or does not answer."""
    with contextlib.suppress(*UNREACHABLE):
        status, body = _request(cluster, "GET", path)
        if status == HTTPStatus.OK:
            found: dict[str, Any] = json.loads(body)
            return found
    return None


def create(cluster: Cluster, path: str, manifest: dict[str, Any]) -> None:
    """Create an object unless there is one of this name."""
    status, body = _request(cluster, "POST", path, json.dumps(manifest))
    if status not in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}:
        raise ClusterError(f"The API server refused {manifest['kind']}: {body.decode()}")


def succeeds(cluster: Cluster, path: str, port: Port = Port.API) -> bool:
    with contextlib.suppress(*UNREACHABLE):
        return _request(cluster, "GET", path, port=port)[0] == HTTPStatus.OK
    return False


def _request(
    cluster: Cluster, method: str, path: str, body: str | None = None, port: Port = Port.API
) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=cluster.pki / "ca.crt")
    context.load_cert_chain(cluster.pki / "admin.crt", cluster.pki / "admin.key")
    connection = http.client.HTTPSConnection("127.0.0.1", cluster.port(port), timeout=5, context=context)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
