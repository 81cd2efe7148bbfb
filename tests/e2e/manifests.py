"""The objects that tests apply."""

from pathlib import Path
from typing import Any

from tests.e2e.reader import Object

APPS = Path(__file__).parent / "apps"


def mtls_service(
    name: str, namespace: str, annotations: dict[str, str] | None = None, /, **spec: Any
) -> Object:
    return {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": "MTLSService",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
        "spec": spec,
    }


def mtls_client(name: str, namespace: str, **spec: Any) -> Object:
    return {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": "MTLSClient",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


SHORT_LIVED = {"mtls-operator.io/allow-short-lived": "true"}


def counting_app(namespace: str) -> Object:
    """Return the ConfigMap that holds the counting application."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "counting", "namespace": namespace},
        "data": {"counting.py": (APPS / "counting.py").read_text()},
    }


COUNTING = {
    "backend": {"asgi": {"app": "counting:app"}},
    "template": {
        "spec": {
            "containers": [
                {
                    "name": "server",
                    "env": [{"name": "PYTHONPATH", "value": "/app"}],
                    "volumeMounts": [{"name": "app", "mountPath": "/app", "readOnly": True}],
                }
            ],
            "volumes": [{"name": "app", "configMap": {"name": "counting"}}],
        }
    },
}
"""What a spec says so that the counting application runs behind mTLS, without an image of its own."""
