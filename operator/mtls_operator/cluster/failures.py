"""What the API server's refusals mean to us: from a metav1.Status to the errors of the ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from mtls_operator.reconcile.ports import (
    SECRET,
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    Ref,
    RefusedError,
    Resource,
    UnavailableError,
)

_LONGEST_MESSAGE: Final = 500
_PEM: Final = "-----BEGIN"
_UNTYPED: Final = "failed to create typed patch object"
"""What a field that does not exist is answered with, as HTTP 500 (kubernetes#122480)."""
_REFUSALS: Final = frozenset({400, 403, 405, 406, 413, 415, 422})


class _Cause(msgspec.Struct):
    field: str = ""


class _Details(msgspec.Struct):
    kind: str = ""
    name: str = ""
    causes: tuple[_Cause, ...] | None = None
    retry_after_seconds: float = msgspec.field(default=0, name="retryAfterSeconds")


class _Status(msgspec.Struct):
    kind: str = ""
    reason: str = ""
    message: str = ""
    details: _Details | None = None


@dataclass(eq=False)
class StatusError(Exception):
    """An answer with HTTP status 400 or more.

    ``reason`` and ``message`` are the Status's own; empty where a proxy or a truncated body answered.
    """

    code: int
    reason: str = ""
    message: str = field(default="", repr=False)
    about: tuple[str, str] = ("", "")
    """Plural of the kind and name that the Status is about."""
    fields: tuple[str, ...] = ()
    """Paths of the fields that are at fault."""
    retry_after: float | None = None
    """Seconds."""

    def __str__(self) -> str:
        return f"HTTP {self.code} {self.reason}".rstrip()

    def is_about(self, ref: Ref) -> bool:
        """Say whether the Status is about this object, and not about its kind or namespace."""
        return self.about == (ref.resource.plural, ref.name)


def status_error(code: int, headers: Mapping[str, Any], body: str | bytes | None) -> StatusError:
    """Read the answer; a body that is no Status counts as empty."""
    try:
        status = msgspec.json.decode(body or b"", type=_Status)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        status = _Status()
    if status.kind != "Status":
        status = _Status()
    details = status.details or _Details()
    return StatusError(
        code,
        status.reason,
        status.message,
        (details.kind, details.name),
        tuple(cause.field for cause in details.causes or () if cause.field),
        _seconds(headers.get("Retry-After")) or details.retry_after_seconds or None,
    )


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() else None


def explain(failed: StatusError, resource: Resource) -> str:
    """Say why, without any object's contents: of Secrets, only the reason and the fields at fault."""
    message = "" if resource == SECRET or _PEM in failed.message else failed.message[:_LONGEST_MESSAGE]
    if message:
        return message
    return " in ".join(part for part in (str(failed), ", ".join(failed.fields)) if part)


def translate(failed: StatusError, ref: Ref, *, creates: bool = False) -> ClusterError:
    """Translate the answer to a read or write of one object.

    Args:
        failed: the API server's answer.
        ref: the object that was asked for.
        creates: whether the write was create-only.
    """
    words = f"{ref.resource.kind} {ref.namespace}/{ref.name}: {explain(failed, ref.resource)}"
    if failed.code == 409:
        return (
            AlreadyExistsError(words) if creates or failed.reason == "AlreadyExists" else ConflictError(words)
        )
    if "metadata.uid" in failed.fields:  # 422 to a patch whose uid is that of an earlier object
        return ConflictError(words)
    if failed.code == 404 and failed.is_about(ref):
        return ConflictError(words)
    if failed.code == 403 and "metadata.namespace" in failed.fields:  # the namespace is being deleted
        return UnavailableError(words)
    if failed.code in _REFUSALS or failed.message.startswith(_UNTYPED):
        return RefusedError(words)
    return UnavailableError(words, failed.retry_after)
