"""What every part of an object has in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from mtls_operator.api.scalars import Generation, Moment, ObjectName, ReferenceName, Sentence, Word


def _json_name(field: str) -> str:
    return to_camel(field.rstrip("_"))


class Model(BaseModel):
    """A part of an object: camelCase in JSON, snake_case in Python, never changed once parsed."""

    model_config = ConfigDict(
        alias_generator=_json_name,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class Metadata(Model):
    """What the operator reads of an object's metadata."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class Condition(Model):
    """One aspect of the state, as the API conventions of Kubernetes have it."""

    type: Word
    """Name of the aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: Generation | None = None
    """Generation of the spec that it speaks of."""
    last_transition_time: Moment
    """When `status` last changed."""
    reason: Word
    """Why, in one word."""
    message: Sentence
    """Why, in a sentence."""


class KeyReference(Model):
    """One key of a Secret or ConfigMap."""

    name: ReferenceName
    """Name of the object, in this namespace."""
    key: ObjectName
    """Key of its data."""
