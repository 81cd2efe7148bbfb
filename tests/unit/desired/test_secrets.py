from base64 import b64decode
from typing import Any

from mtls_operator.desired import metadata, secrets
from tests.unit.desired.builders import SETTINGS, service

DATES = {"mtls-operator.io/not-after": "2026-01-02T00:00:00Z"}


def data(secret: dict[str, Any]) -> dict[str, bytes]:
    return {name: b64decode(contents) for name, contents in secret["data"].items()}


def test_the_server_mounts_certificate_key_anchors_and_policy_from_one_secret() -> None:
    secret = secrets.server_secret(
        service(), certificate=b"leaf", key=b"key", anchors=b"ca", policy=b"{}", annotations=DATES
    )

    assert secret["type"] == "kubernetes.io/tls"
    assert secret["metadata"]["name"] == "orders-server"
    assert secret["metadata"]["namespace"] == "shop"
    assert secret["metadata"]["annotations"] == DATES
    assert secret["metadata"]["labels"] == metadata.labels(service(), "server")
    assert secret["metadata"]["ownerReferences"] == [metadata.owner_reference(service())]
    assert data(secret) == {"tls.crt": b"leaf", "tls.key": b"key", "ca.crt": b"ca", "policy.json": b"{}"}


def test_a_client_gets_certificate_key_and_anchors() -> None:
    secret = secrets.client_secret(
        metadata.owned(service(), "orders-client-billing", "client"),
        certificate=b"leaf",
        key=b"key",
        anchors=b"ca",
        stores={"keystore.p12": b"both"},
        annotations=DATES,
    )

    assert secret["type"] == "kubernetes.io/tls"
    assert secret["metadata"]["name"] == "orders-client-billing"
    assert secret["metadata"]["annotations"] == DATES
    assert secret["metadata"]["labels"] == metadata.labels(service(), "client")
    assert secret["metadata"]["ownerReferences"] == [metadata.owner_reference(service())]
    assert data(secret) == {
        "tls.crt": b"leaf",
        "tls.key": b"key",
        "ca.crt": b"ca",
        "keystore.p12": b"both",
    }


def test_authorities_lie_with_the_operator_and_tell_whose_they_are() -> None:
    secret = secrets.authority_secret(service(), SETTINGS, {"server.key": b"key"})

    assert secret["type"] == "Opaque"
    assert secret["metadata"] == {
        "name": "authority-7c1f5b7e",
        "namespace": "mtls-system",
        "labels": metadata.labels(service(), "authority"),
        "annotations": {
            "mtls-operator.io/instance": "mtls-system/mtls-operator",
            "mtls-operator.io/owner": "shop/orders",
        },
    }
    assert data(secret) == {"server.key": b"key"}
