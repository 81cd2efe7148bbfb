"""Ours or not: nothing of anybody else's is ever altered."""

from enum import Enum, auto

from mtls_operator.api import names
from mtls_operator.api.types import MTLSService

from .ports import Object


class Ownership(Enum):
    """Whose an object is, as seen from one service."""

    OURS = auto()
    ABANDONED = auto()
    """Made for a former service of this name, which no longer exists: free to be taken over whole."""
    FOREIGN = auto()


def made_by_us(observed: Object) -> bool:
    """Tell by label; a reference to an owner of ours anybody can write, so that an object goes with it."""
    labels = observed["metadata"].get("labels") or {}
    return bool(labels.get(names.LABEL_MANAGED_BY) == names.MANAGED_BY)


def ownership(observed: Object, service: MTLSService) -> Ownership:
    """Tell by UID, never by name alone."""
    metadata = observed["metadata"]
    labels = metadata.get("labels") or {}
    owners = {reference["uid"] for reference in metadata.get("ownerReferences") or ()}
    uid = service.metadata.uid
    if uid in owners or labels.get(names.LABEL_SERVICE_UID) == uid:
        return Ownership.OURS
    if made_by_us(observed) and labels.get(names.LABEL_SERVICE) == service.metadata.name:
        return Ownership.ABANDONED
    return Ownership.FOREIGN
