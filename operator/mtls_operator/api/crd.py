"""The CustomResourceDefinition of MTLSService, made from its type."""

from typing import Final

from mtls_operator.api import names, rules
from mtls_operator.api.schema import Schema, ruled, structural
from mtls_operator.api.types import MTLSService

# Dates are printed as they are: the column type `date` shows <invalid> for one in the future.
_COLUMNS: Final = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
    ("Clients", "integer", ".status.clientsReady"),
    ("Expires", "string", ".status.nextExpiry"),
    ("Renews", "string", ".status.serverCertificate.renewalTime"),
    ("Age", "date", ".metadata.creationTimestamp"),
)


def mtlsservice() -> Schema:
    """Return the CustomResourceDefinition of MTLSService as an object of the API."""
    singular = names.KIND.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": singular,
                "shortNames": ["mtls"],
                "categories": ["mtls"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> Schema:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path} for name, kind, path in _COLUMNS
        ],
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "schema": {"openAPIV3Schema": _schema()},
    }


def _schema() -> Schema:
    schema = structural(MTLSService)
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
    }
    return schema | {"required": ["spec"]} | ruled(rules.NAME)
