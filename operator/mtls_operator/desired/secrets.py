"""The Secrets: what the server mounts, what each client uses, and the authorities that sign both."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_server.contract import CERTIFICATE, POLICY, PRIVATE_KEY, TRUST_ANCHORS

from .metadata import kept, labels

KEYSTORE: Final = "keystore.p12"
"""Key and chain of a client as PKCS#12."""
TRUSTSTORE: Final = "truststore.p12"
"""The CAs that may sign the server, as PKCS#12."""


def server_secret(  # noqa: PLR0913 - one keyword for each file
    service: MTLSService,
    *,
    certificate: bytes,
    key: bytes,
    anchors: bytes,
    policy: bytes,
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """Build the Secret that the server mounts.

    Args:
        service: whose server it is.
        certificate: chain as PEM, leaf first.
        key: private key as PEM.
        anchors: exactly the CAs that may sign clients, as PEM.
        policy: contents of `policy.json`.
        annotations: dates and reason of the issue.
    """
    data = {CERTIFICATE: certificate, PRIVATE_KEY: key, TRUST_ANCHORS: anchors, POLICY: policy}
    metadata = kept(service, names.server_secret(service.metadata.name), "server")
    return _secret("kubernetes.io/tls", metadata, annotations, data)


def client_secret(  # noqa: PLR0913 - one keyword for each file
    metadata: Mapping[str, Any],
    *,
    certificate: bytes,
    key: bytes,
    anchors: bytes,
    stores: Mapping[str, bytes],
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """Build the Secret of one client.

    Args:
        metadata: its name, and whose it is.
        certificate: chain as PEM, leaf first.
        key: private key as PEM.
        anchors: the CAs that may sign the server, as PEM.
        stores: the same in further formats; file name to contents.
        annotations: dates and reason of the issue.
    """
    data = {CERTIFICATE: certificate, PRIVATE_KEY: key, TRUST_ANCHORS: anchors, **stores}
    return _secret("kubernetes.io/tls", metadata, annotations, data)


def authority_secret(service: MTLSService, settings: Settings, data: Mapping[str, bytes]) -> dict[str, Any]:
    """Build the Secret of both authorities, in the operator's namespace, where nothing could own it."""
    metadata = {
        "name": names.authority_secret(service.metadata.uid),
        "namespace": settings.namespace,
        "labels": labels(service, "authority"),
    }
    annotations = {
        names.ANNOTATION_INSTANCE: settings.identity,
        names.ANNOTATION_OWNER: f"{service.metadata.namespace}/{service.metadata.name}",
    }
    return _secret("Opaque", metadata, annotations, data)


def _secret(
    kind: str, metadata: Mapping[str, Any], annotations: Mapping[str, str], data: Mapping[str, bytes]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**metadata, "annotations": dict(annotations)},
        "type": kind,
        "data": {name: base64.b64encode(contents).decode() for name, contents in data.items()},
    }
