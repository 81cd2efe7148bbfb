"""Ours or not: nothing of anybody else's is ever altered."""

from enum import Enum, auto

from mtls_operator.api import names
from mtls_operator.api.types import MTLSClient, MTLSService

from .ports import Object

Owner = MTLSService | MTLSClient


class Ownership(Enum):
    """Whose an object is, as seen from one owner."""

    OURS = auto()
    ABANDONED = auto()
    """Made for a former service of this name, which no longer exists: free to be taken over whole."""
    FOREIGN = auto()


def made_by_us(observed: Object) -> bool:
    """Tell by label; a reference to an owner of ours anybody can write, so that an object goes with it."""
    labels = observed["metadata"].get("labels") or {}
    return bool(labels.get(names.LABEL_MANAGED_BY) == names.MANAGED_BY)


def is_going(observed: Object) -> bool:
    """Tell whether an object was deleted already, and is there only until its finalizers are done."""
    return bool(observed["metadata"].get("deletionTimestamp"))


def holder_uid(observed: Object) -> str | None:
    """Return the UID of the MTLSClient that controls an object, if its ownerReferences say so.

    An owner is of the object's own namespace, and there is one controller at most.
    """
    for reference in observed["metadata"].get("ownerReferences") or ():
        group = reference["apiVersion"].partition("/")[0]
        if reference.get("controller") and (group, reference["kind"]) == (names.GROUP, names.CLIENT_KIND):
            return str(reference["uid"])
    return None


def ownership(observed: Object, owner: Owner) -> Ownership:
    """Tell by UID, never by name alone; and nobody owns anything outside of the own namespace."""
    if observed["metadata"]["namespace"] != owner.metadata.namespace:
        return Ownership.FOREIGN
    if isinstance(owner, MTLSService):
        return _ownership_of_service(observed, owner)
    return Ownership.OURS if holder_uid(observed) == owner.metadata.uid else Ownership.FOREIGN


def _ownership_of_service(observed: Object, service: MTLSService) -> Ownership:
    metadata = observed["metadata"]
    labels = metadata.get("labels") or {}
    owners = {reference["uid"] for reference in metadata.get("ownerReferences") or ()}
    if service.metadata.uid in owners:
        return Ownership.OURS
    if holder_uid(observed) is not None:
        return Ownership.FOREIGN
    if labels.get(names.LABEL_SERVICE_UID) == service.metadata.uid:
        return Ownership.OURS
    if made_by_us(observed) and labels.get(names.LABEL_SERVICE) == service.metadata.name:
        return Ownership.ABANDONED
    return Ownership.FOREIGN
