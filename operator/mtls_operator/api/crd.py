"""The CustomResourceDefinitions, made from the types."""

from typing import Final

from mtls_operator.api import names
from mtls_operator.api.rules import values
from mtls_operator.api.schema import Rule, Schema, ruled, structural
from mtls_operator.api.types import Model, MTLSClient, MTLSService

CATEGORY: Final = "mtls-operator"
"""Lists all kinds of ours; it differs from every short name, or that would list all of them too."""

_READY: Final = ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status')
_AGE: Final = ("Age", "date", ".metadata.creationTimestamp")
# Dates are printed as they are: the column type `date` shows <invalid> for one in the future.
_SERVICE_COLUMNS: Final = (
    _READY,
    ("Clients", "integer", ".status.clientsReady"),
    ("Expires", "string", ".status.nextExpiry"),
    ("Renews", "string", ".status.serverCertificate.renewalTime"),
    _AGE,
)
_CLIENT_COLUMNS: Final = (
    _READY,
    ("Service", "string", ".spec.serviceRef.name"),
    ("Expires", "string", ".status.notAfter"),
    ("Renews", "string", ".status.renewalTime"),
    _AGE,
)
_SCALE: Final = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}

Column = tuple[str, str, str]
"""Heading, type, and JSON path."""


def mtlsservice() -> Schema:
    """Return the CustomResourceDefinition of MTLSService as an object of the API."""
    version = _version(MTLSService, values.NAME, _SERVICE_COLUMNS, scale=_SCALE)
    return _definition(names.KIND, names.PLURAL, "mtls", version)


def mtlsclient() -> Schema:
    """Return the CustomResourceDefinition of MTLSClient as an object of the API."""
    version = _version(MTLSClient, values.CLIENT_NAME, _CLIENT_COLUMNS)
    return _definition(names.CLIENT_KIND, names.CLIENT_PLURAL, "mtlsc", version)


def _definition(kind: str, plural: str, short_name: str, version: Schema) -> Schema:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def _version(model: type[Model], name: Rule, columns: tuple[Column, ...], **subresources: Schema) -> Schema:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": heading, "type": kind, "jsonPath": path} for heading, kind, path in columns
        ],
        "subresources": {"status": {}, **subresources},
        "schema": {"openAPIV3Schema": _schema(model, name)},
    }


def _schema(model: type[Model], name: Rule) -> Schema:
    schema = structural(model)
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
    }
    return schema | {"required": ["spec"]} | ruled(name)
