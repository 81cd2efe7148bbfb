"""How a type says what the API server must demand of it, and the structural schema made from that."""

from typing import Any, NamedTuple

from pydantic import BaseModel, Field, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

Schema = dict[str, Any]


class Rule(NamedTuple):
    """A CEL expression over ``self`` that must hold, and the sentence that says what to write instead."""

    expression: str
    message: str
    field: str = ""
    """Path of the field that is to blame, from ``self``; itself where nothing is said."""


def matching(pattern: str, message: str) -> Rule:
    """Demand that a string is all of what this regular expression (RE2) describes."""
    return Rule(f"self.matches(r'^{pattern}$')", message)


def ruled(*rules: Rule) -> Schema:
    """Return the keyword of a schema that carries these rules."""
    return {"x-kubernetes-validations": [_validation(rule) for rule in rules]} if rules else {}


def text(at_most: int, *rules: Rule, at_least: int = 1, **keywords: str) -> WithJsonSchema:
    """Bound a string in characters, by rules, and by further keywords such as ``pattern``."""
    bounds = {"minLength": at_least} if at_least else {}
    return WithJsonSchema({"type": "string", "maxLength": at_most, **bounds, **keywords, **ruled(*rules)})


def number(at_least: int, at_most: int, *rules: Rule, **keywords: int) -> WithJsonSchema:
    """Bound an integer; the keyword ``default`` is what the API server stores where the user says nothing."""
    bounds = {"minimum": at_least, "maximum": at_most}
    return WithJsonSchema({"type": "integer", "format": "int32", **bounds, **keywords, **ruled(*rules)})


def items(at_most: int, *rules: Rule, by: str | None = None, unique: bool = False) -> FieldInfo:
    """Bound a list, which is merged by a key of its items, is a set, or is replaced as a whole."""
    kind = "map" if by else "set" if unique else "atomic"
    keys = {"x-kubernetes-list-map-keys": [by]} if by else {}
    return _schema_only({"maxItems": at_most, "x-kubernetes-list-type": kind, **keys, **ruled(*rules)})


def entries(at_most: int, *rules: Rule) -> FieldInfo:
    """Bound a map."""
    return _schema_only({"maxProperties": at_most, **ruled(*rules)})


def structural(model: type[BaseModel]) -> Schema:
    """Return the schema of a model as a CRD wants it: no references, unions, titles or implied defaults."""
    schema = model.model_json_schema(schema_generator=_Structural)
    definitions = schema.pop("$defs", {})
    return {key: _inlined(value, definitions) for key, value in schema.items() if key != "title"}


class _Structural(GenerateJsonSchema):
    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        return self.generate_inner(schema["schema"])

    def literal_schema(self, schema: core_schema.LiteralSchema) -> Schema:
        return {"type": "string", "enum": list(schema["expected"])}


def _validation(rule: Rule) -> dict[str, str]:
    path = {"fieldPath": rule.field} if rule.field else {}
    return {"rule": rule.expression, "message": rule.message, **path}


def _schema_only(keywords: Schema) -> FieldInfo:
    field: FieldInfo = Field(json_schema_extra=keywords)
    return field


def _inlined(node: Any, definitions: Schema) -> Any:  # noqa: ANN401 - any part of a JSON document
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        node = definitions[reference.rpartition("/")[2]] | node
    return {
        key: _inlined(value, definitions)
        for key, value in node.items()
        if key != "$ref" and not (key == "title" and isinstance(value, str))
    }
