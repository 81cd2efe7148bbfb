"""Compare Secrets with what is wanted, and write ours without losing what others added to them."""

import base64
import binascii
from collections.abc import Iterator

from .ports import Object


def decode_data(observed: Object | None) -> dict[str, bytes]:
    """Decode what can be; a value that is not base64 counts as empty, and is then found wanting."""
    decoded = {}
    for name, value in ((observed or {}).get("data") or {}).items():
        try:
            decoded[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            decoded[name] = b""
    return decoded


def differences(wanted: Object, observed: Object) -> list[str]:
    """Name what differs: data keys, and ``labels``, ``annotations`` or ``ownerReferences``."""
    ours, theirs = wanted.get("data") or {}, observed.get("data") or {}
    keys = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    return [*keys, *_metadata_differences(wanted, observed)]


def metadata_differs(wanted: Object, observed: Object) -> bool:
    """Whether a label, annotation or owner of ours is missing or altered."""
    return any(_metadata_differences(wanted, observed))


def merged(wanted: Object, observed: Object) -> Object:
    """Return the update: what is ours as wanted, labels and annotations of others as they are."""
    ours, theirs = wanted["metadata"], observed["metadata"]
    metadata = {
        **theirs,
        "name": ours["name"],
        "namespace": ours["namespace"],
        "labels": {**(theirs.get("labels") or {}), **ours.get("labels", {})},
        "annotations": {**(theirs.get("annotations") or {}), **ours.get("annotations", {})},
        "ownerReferences": ours.get("ownerReferences", []),
    }
    return {**wanted, "type": observed.get("type", wanted["type"]), "metadata": metadata}


def _metadata_differences(wanted: Object, observed: Object) -> Iterator[str]:
    ours, theirs = wanted["metadata"], observed["metadata"]
    for field in ("labels", "annotations"):
        if not (ours.get(field) or {}).items() <= (theirs.get(field) or {}).items():
            yield field
    owners = {reference["uid"] for reference in theirs.get("ownerReferences") or ()}
    if owners != {reference["uid"] for reference in ours.get("ownerReferences") or ()}:
        yield "ownerReferences"
