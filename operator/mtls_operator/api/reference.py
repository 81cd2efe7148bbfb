"""The reference of the API for people, made from the same schemas as the CRDs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from mtls_operator.api import names
from mtls_operator.api.schema import Schema

_ANNOTATIONS: Final = {
    names.ANNOTATION_REISSUE: (
        "Any new value re-issues every certificate of the service once; `revoke/<new value>` also has those"
        " refused that were issued before."
    ),
    names.ANNOTATION_ROTATE_AUTHORITY: (
        "Any new value replaces both authorities, step by step and without an interruption;"
        " `distrust/<new value>` does it at once: nobody is served until callers have new certificates."
    ),
    names.ANNOTATION_PAUSED: '`"true"` stops renewals and every other change; warnings go on.',
    names.ANNOTATION_ALLOW_SHORT_LIVED: (
        '`"true"` lets certificates of clients hold for less than 10m, down to 60s: for callers that read the'
        " Secret through the API. Mounted Secrets can reach a pod later than that."
    ),
}

_LABELS: Final = {
    names.USE_AUTHORITY: "A Secret named by `authority.server.secretRef` or `authority.client.secretRef`.",
    names.USE_TRUST: "A Secret or ConfigMap named by `trust`.",
    names.USE_PASSWORD: "A Secret named by `passwordSecretRef`.",
}


class Field(NamedTuple):
    """One field of an object: where it is, and its schema."""

    path: str
    schema: Schema


def render(definitions: Sequence[Schema]) -> str:
    """Return the Markdown reference of CustomResourceDefinitions."""
    return "\n".join(
        [
            f"# Reference ({names.API_VERSION})",
            "",
            "<!-- Written by `make generate` from operator/mtls_operator/api; change it there. -->",
            "",
            *(line for definition in definitions for line in _kind_section(definition)),
            "## Annotations",
            "",
            f"A person may set them on an {names.KIND}.",
            "",
            *_table(("Annotation", "Meaning"), ((f"`{name}`", text) for name, text in _ANNOTATIONS.items())),
            "## Labels",
            "",
            f"What is referred to says by the label `{names.LABEL_USE}` what it may be used for.",
            "",
            *_table(("Value", "Whose"), ((f"`{value}`", text) for value, text in _LABELS.items())),
        ]
    )


def _kind_section(definition: Schema) -> list[str]:
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return [
        f"## {definition['spec']['names']['kind']}",
        "",
        schema["description"],
        "",
        *_part("Spec", "spec", schema),
        *_part("Status", "status", schema),
        "### What is refused",
        "",
        "Beside wrong types and bounds, these are refused when an object is written, in these words.",
        "",
        *_table(("Where", "Sentence"), _refusals(schema)),
    ]


def _part(title: str, name: str, schema: Schema) -> list[str]:
    rows = (
        (f"`{field.path}`", _kind(field.schema), _one_line(field.schema.get("description", "")))
        for field in _fields(name, schema["properties"][name])
        if field.path != name
    )
    return [f"### {title}", "", *_table(("Field", "Type", "Meaning"), rows)]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(headings)} |",
        f"|{'---|' * len(headings)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


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


def _refusals(schema: Schema) -> list[tuple[str, str]]:
    return [
        (f"`{(path + rule.get('fieldPath', '')).removeprefix('.')}`", f"{_one_line(rule['message'])}.")
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
