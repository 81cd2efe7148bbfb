"""What every object of ours carries: labels, and a reference to what owns it."""

from typing import Any, Final, Literal

from mtls_operator.api import names
from mtls_operator.api.types import MTLSClient, MTLSService

Component = Literal["authority", "server", "client"]

LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
APPLICATION: Final = "mtls-server"


def labels(service: MTLSService, component: Component) -> dict[str, str]:
    """Return the labels of an object that belongs to the service."""
    return selector(service) | {
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_USE: names.USE_OWNED,
        names.LABEL_SERVICE: service.metadata.name,
        names.LABEL_SERVICE_UID: service.metadata.uid,
        names.LABEL_COMPONENT: component,
    }


def selector(service: MTLSService) -> dict[str, str]:
    """Return the labels that select the server's pods; a Deployment never lets them change."""
    return {LABEL_NAME: APPLICATION, LABEL_INSTANCE: service.metadata.name}


def owner_reference(owner: MTLSService | MTLSClient) -> dict[str, Any]:
    """Return the reference by which an object goes when its owner does."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND if isinstance(owner, MTLSService) else names.CLIENT_KIND,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned(service: MTLSService, name: str, component: Component) -> dict[str, Any]:
    """Return the metadata of an object in the service's namespace that goes when the service does."""
    return {
        "name": name,
        "namespace": service.metadata.namespace,
        "labels": labels(service, component),
        "ownerReferences": [owner_reference(service)],
    }


def held(client: MTLSClient) -> dict[str, Any]:
    """Return the metadata of the Secret of an MTLSClient, which alone says whose it is."""
    return {
        "name": client.spec.secret_name,
        "namespace": client.metadata.namespace,
        "labels": {
            names.LABEL_MANAGED_BY: names.MANAGED_BY,
            names.LABEL_USE: names.USE_OWNED,
            names.LABEL_COMPONENT: "client",
        },
        "ownerReferences": [owner_reference(client)],
    }


def kept(service: MTLSService, name: str, component: Component) -> dict[str, Any]:
    """Return the metadata of a Secret that goes when the service does, unless it is to be retained."""
    metadata = owned(service, name, component)
    if service.spec.deletion_policy == "Retain":
        del metadata["ownerReferences"]
    return metadata
