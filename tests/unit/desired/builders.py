from typing import Any

from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService

Object = dict[str, Any]

SETTINGS = Settings(namespace="mtls-system", server_image="registry.example/mtls-server:0.1.0")


def service(**spec: object) -> MTLSService:
    """Return the service `orders` of the namespace `shop` with this spec (field names as in YAML)."""
    return MTLSService.model_validate(
        {
            "apiVersion": "mtls-operator.io/v1alpha1",
            "kind": "MTLSService",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "7c1f5b7e"},
            "spec": spec,
        }
    )
