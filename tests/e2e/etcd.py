"""Access to what the API server stores, behind its back."""

import base64
import contextlib
import http.client
import json
import ssl

from tests.cluster.layout import Cluster, Port


def delete(cluster: Cluster, key: str) -> None:
    """Remove one key, as a backup does that was restored in part."""
    context = ssl.create_default_context(cafile=cluster.pki / "etcd-ca.crt")
    context.load_cert_chain(cluster.pki / "etcd-client.crt", cluster.pki / "etcd-client.key")
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()})
    connection = http.client.HTTPSConnection(
        "127.0.0.1", cluster.port(Port.ETCD), timeout=10, context=context
    )
    with contextlib.closing(connection):
        connection.request("POST", "/v3/kv/deleterange", body)
        answer = json.loads(connection.getresponse().read())
    assert answer.get("deleted") == "1", answer
