"""The reference of the API for people, made from the same schema as the CRD."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from mtls_operator.api import names
from mtls_operator.api.schema import Schema

_ANNOTATIONS: Final = {
    names.ANNOTATION_REISSUE: "Any new value re-issues every certificate of the service once.",
    names.ANNOTATION_ALLOW_SHORT_LIVED: (
        '`"true"` lets certificates of clients hold for less than 10m, down to 60s: for callers that read the'
        " Secret through the API. Mounted Secrets can reach a pod later than that."
    ),
}


class Field(NamedTuple):
    """One field of an object: where it is, and its schema."""

    path: str
    schema: Schema


def render(definition: Schema) -> str:
    """Return the Markdown reference of a CustomResourceDefinition."""
    kind = definition["spec"]["names"]["kind"]
    version = definition["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    return "\n".join(
        [
            f"# {kind} ({definition['spec']['group']}/{version['name']})",
            "",
            "<!-- Written by `make generate` from operator/mtls_operator/api; change it there. -->",
            "",
            schema["description"],
            "",
            *_section("Spec", "spec", schema),
            *_section("Status", "status", schema),
            "## Annotations",
            "",
            "| Annotation | Meaning |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in _ANNOTATIONS.items()),
            "",
            "## What is refused",
            "",
            "Beside wrong types and bounds, these are refused when an object is written, in these words.",
            "",
            "| Where | Sentence |",
            "|---|---|",
            *_refusals(schema),
            "",
        ]
    )


def _section(title: str, name: str, schema: Schema) -> list[str]:
    rows = [
        f"| `{field.path}` | {_kind(field.schema)} | {_one_line(field.schema.get('description', ''))} |"
        for field in _fields(name, schema["properties"][name])
        if field.path != name
    ]
    return [f"## {title}", "", "| Field | Type | Meaning |", "|---|---|---|", *rows, ""]


def _fields(path: str, schema: Schema) -> Iterator[Field]:
    """Walk what is described; the guarded fields of `template` are Kubernetes' own and are not."""
    yield Field(path, schema)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    for field in _children(path, schema):
        yield from _fields(*field)


def _children(path: str, schema: Schema) -> Iterator[Field]:
    while schema["type"] == "array":
        path, schema = f"{path}[]", schema["items"]
    for name, property_ in schema.get("properties", {}).items():
        yield Field(f"{path}.{name}" if path else name, property_)


def _kind(schema: Schema) -> str:
    if schema["type"] == "array":
        return f"list of at most {schema['maxItems']}: {_kind(schema['items'])}"
    if values := schema.get("enum"):
        return " or ".join(f"`{value}`" for value in values)
    if "minimum" in schema:
        return f"integer, {schema['minimum']} to {schema['maximum']}"
    if "additionalProperties" in schema:
        return f"map of at most {schema['maxProperties']}: {_kind(schema['additionalProperties'])}"
    return str(schema["type"])


def _refusals(schema: Schema) -> list[str]:
    return [
        f"| `{(path + rule.get('fieldPath', '')).removeprefix('.')}` | {_one_line(rule['message'])}. |"
        for path, part in _parts("", schema)
        for rule in part.get("x-kubernetes-validations", ())
    ]


def _parts(path: str, schema: Schema) -> Iterator[Field]:
    yield Field(path, schema)
    if schema["type"] == "array":
        yield from _parts(f"{path}[]", schema["items"])
    else:
        for field in _children(path, schema):
            yield from _parts(*field)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
