"""The schema of a partial PodTemplateSpec: open, but for the fields that could undo what protects the pod."""

from typing import Any, Final

from mtls_operator.api.rules import pods, values
from mtls_operator.api.schema import Rule, Schema, ruled


def _open(*rules_: Rule, required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    names = {"required": list(required)} if required else {}
    return {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": properties,
        **names,
        **ruled(*rules_),
    }


def _list(at_most: int, items: Schema, *, by: str | None = None) -> Schema:
    kind = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [by]} if by else {}
    return {"type": "array", "maxItems": at_most, "items": items, **kind}


def _map(*rules_: Rule) -> Schema:
    value = {"type": "string", "maxLength": 4096}
    return {"type": "object", "maxProperties": 64, "additionalProperties": value, **ruled(*rules_)}


_BOOLEAN: Final[Schema] = {"type": "boolean"}
_NAME: Final[Schema] = {"type": "string", "maxLength": 253}
_SECRET: Final[Schema] = _NAME | ruled(values.AUTHORITY_SECRET)
_SECRET_REFERENCE: Final = _open(name=_SECRET)
_WORDS: Final = _list(64, {"type": "string", "maxLength": 4096})

_CONTAINER: Final = _open(
    pods.SERVER_COMMAND,
    required=("name",),
    name=_NAME,
    command=_WORDS,
    args=_WORDS,
    env=_list(
        128,
        _open(required=("name",), name=_NAME, valueFrom=_open(secretKeyRef=_SECRET_REFERENCE)),
        by="name",
    ),
    envFrom=_list(32, _open(secretRef=_SECRET_REFERENCE)),
    securityContext=_open(
        pods.PRIVILEGED,
        privileged=_BOOLEAN,
        capabilities=_open(pods.CAPABILITIES, add=_list(64, _NAME)),
    ),
)
_VOLUME: Final = _open(
    pods.HOST_PATH,
    pods.OUR_VOLUME,
    required=("name",),
    name=_NAME,
    hostPath=_open(),
    secret=_open(secretName=_SECRET),
    projected=_open(
        sources=_list(
            32,
            _open(pods.SERVICE_ACCOUNT_TOKEN, secret=_SECRET_REFERENCE, serviceAccountToken=_open()),
        )
    ),
)

SCHEMA: Final[dict[str, Any]] = _open(
    metadata=_open(labels=_map(values.OUR_KEYS), annotations=_map(values.OUR_KEYS)),
    spec=_open(
        pods.POD_IDENTITY,
        pods.HOST_NAMESPACES,
        pods.EPHEMERAL_CONTAINERS,
        serviceAccountName=_NAME,
        serviceAccount=_NAME,
        automountServiceAccountToken=_BOOLEAN,
        hostNetwork=_BOOLEAN,
        hostPID=_BOOLEAN,
        hostIPC=_BOOLEAN,
        containers=_list(16, _CONTAINER, by="name"),
        initContainers=_list(16, _CONTAINER, by="name"),
        ephemeralContainers=_list(16, _open()),
        volumes=_list(64, _VOLUME, by="name"),
    ),
)
