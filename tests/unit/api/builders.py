from collections.abc import Mapping
from typing import Any

from mtls_operator.api.types import MTLSService


def service(
    spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None, **fields: Any
) -> MTLSService:
    metadata = {"name": "orders", "namespace": "shop", "uid": "0c5ab6a5", "annotations": annotations or {}}
    return MTLSService.model_validate(
        {
            "apiVersion": "mtls-operator.io/v1alpha1",
            "kind": "MTLSService",
            "metadata": metadata,
            "spec": spec,
            **fields,
        }
    )
