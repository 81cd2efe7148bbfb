from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtls_operator.api import crd, generate

ROOT = Path(__file__).parents[3]
DEFINITIONS = (crd.mtlsservice(), crd.mtlsclient())
SCHEMAS = [definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for definition in DEFINITIONS]

Node = tuple[str, dict[str, Any]]


def nodes(path: str, schema: dict[str, Any]) -> Iterator[Node]:
    """Walk every part of a schema below apiVersion, kind and metadata, which are not ours."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(f"{path}.{name}", child)
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(f"{path}[]", schema[keyword])


SERVICE, CLIENT = (
    [node for name in ("spec", "status") for node in nodes(name, schema["properties"][name])]
    for schema in SCHEMAS
)
OURS = SERVICE + CLIENT


@pytest.mark.parametrize("path", generate.documents())
def test_what_is_committed_is_what_the_types_say(path: str) -> None:
    assert (ROOT / path).read_text() == generate.documents()[path], "run: make generate"


def test_every_string_list_and_map_is_bounded() -> None:
    bound = {"string": "maxLength", "array": "maxItems"}
    free = [(path, schema) for path, schema in OURS if "enum" not in schema]
    assert [path for path, schema in free if bound.get(schema["type"], "type") not in schema] == []
    maps = [(path, schema) for path, schema in OURS if "additionalProperties" in schema]
    assert [path for path, schema in maps if "maxProperties" not in schema] == []


def test_only_what_scale_and_service_need_has_a_default_in_the_schema() -> None:
    assert {path: schema["default"] for path, schema in OURS if "default" in schema} == {
        "spec.replicas": 2,
        "spec.port": 8443,
    }


def test_schema_has_no_references_unions_or_titles() -> None:
    keywords = {keyword for _, schema in OURS for keyword in schema}
    assert keywords.isdisjoint({"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "const"})


def test_every_field_of_ours_is_explained() -> None:
    silent = [path for path, schema in OURS if "description" not in schema and not path.endswith("[]")]
    assert [path for path in silent if not path.startswith("spec.template.")] == []


def test_lists_are_merged_by_their_keys() -> None:
    keys = {
        path: schema["x-kubernetes-list-map-keys"]
        for path, schema in SERVICE
        if "x-kubernetes-list-map-keys" in schema
    }
    assert keys["spec.clients"] == keys["spec.trust"] == keys["spec.template.spec.containers"] == ["name"]
    assert keys["status.conditions"] == ["type"]
    assert dict(SERVICE)["status.clients"]["x-kubernetes-list-type"] == "atomic"


def test_reference_names_every_field_and_every_refusal() -> None:
    reference = generate.documents()["docs/reference.md"]
    fields = [path for path, _ in OURS if not path.endswith("[]") and not path.startswith("spec.template.")]
    assert [
        path for path in fields if path not in {"spec", "status"} and f"| `{path}` |" not in reference
    ] == []
    messages = {rule["message"] for _, schema in OURS for rule in schema.get("x-kubernetes-validations", ())}
    assert [message for message in messages if message not in reference] == []
