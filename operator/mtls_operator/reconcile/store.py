"""What is known of the world: the newest observation of every object that concerns us."""

from collections.abc import Iterator
from typing import NamedTuple

from mtls_operator.api import names

from .ports import MTLSSERVICE, Object, Ref, Resource


class Key(NamedTuple):
    """One MTLSService: the unit of reconciliation."""

    namespace: str
    name: str


class Store:
    """The newest observation of each object, indexed by the MTLSService it belongs to.

    Observations come from watches and from the answers to our own writes, in any order. An older
    resourceVersion never replaces a newer one, so a write is never unseen by the pass after it.
    """

    def __init__(self, home: str) -> None:
        """Begin with nothing.

        Args:
            home: the operator's own namespace.
        """
        self._home = home
        self._objects: dict[Ref, Object] = {}
        self._by_key: dict[Key, set[Ref]] = {}

    def put(self, resource: Resource, observed: Object) -> Key | None:
        """Take in an observation, which is then the store's, and return the key it concerns, if any."""
        observed["metadata"].pop("managedFields", None)  # half of an object, and nobody here asks for it
        ref = ref_of(resource, observed)
        known = self._objects.get(ref)
        if known is not None and _is_newer(known, observed):
            return key_of(resource, known, self._home)
        if known is not None:
            self._forget(ref, known)
        self._objects[ref] = observed
        key = key_of(resource, observed, self._home)
        if key is not None:
            self._by_key.setdefault(key, set()).add(ref)
        return key

    def remove(self, resource: Resource, observed: Object) -> Key | None:
        """Take in that this object is gone, or out of our sight; return the key it concerned."""
        ref = ref_of(resource, observed)
        known = self._objects.get(ref)
        if known is None or _is_newer(known, observed):
            return None
        self._forget(ref, known)
        return key_of(resource, known, self._home) or key_of(resource, observed, self._home)

    def drop(self, ref: Ref) -> None:
        """Take in that a live read found no such object."""
        known = self._objects.get(ref)
        if known is not None:
            self._forget(ref, known)

    def get(self, ref: Ref) -> Object | None:
        """Return the newest observation of one object."""
        return self._objects.get(ref)

    def of(self, key: Key, resource: Resource) -> Iterator[Object]:
        """Return the objects of this kind in the service's own namespace, in order of name."""
        for ref in sorted(self._by_key.get(key, ())):
            if ref.resource == resource and ref.namespace == key.namespace:
                yield self._objects[ref]

    def refs(self, resource: Resource) -> Iterator[Ref]:
        """Return all observed objects of one kind."""
        return (ref for ref in tuple(self._objects) if ref.resource == resource)

    def _forget(self, ref: Ref, known: Object) -> None:
        del self._objects[ref]
        key = key_of(ref.resource, known, self._home)
        if key is None:
            return
        refs = self._by_key[key]
        refs.discard(ref)
        if not refs:
            del self._by_key[key]


def ref_of(resource: Resource, observed: Object) -> Ref:
    """Return the name under which the API server knows the object."""
    metadata = observed["metadata"]
    return Ref(resource, metadata["namespace"], metadata["name"])


def key_of(resource: Resource, observed: Object, home: str) -> Key | None:
    """Return the service that an object says it belongs to: by owner or label, at home by annotation.

    Anybody can write an annotation that names a service elsewhere, except in the operator's own namespace.
    """
    metadata = observed["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if resource == MTLSSERVICE:
        return Key(namespace, name)
    if namespace == home and name.startswith(names.AUTHORITY_PREFIX):
        owner = (metadata.get("annotations") or {}).get(names.ANNOTATION_OWNER, "")
        return Key(*owner.split("/")) if owner.count("/") == 1 else None
    for reference in metadata.get("ownerReferences") or ():
        if reference["kind"] == names.KIND and reference["apiVersion"].startswith(f"{names.GROUP}/"):
            return Key(namespace, reference["name"])
    service = (metadata.get("labels") or {}).get(names.LABEL_SERVICE)
    return Key(namespace, service) if service else None


def _is_newer(known: Object, observed: Object) -> bool:
    """Compare resourceVersions, which are comparable integers since KEP-5504; an odd one counts as news."""
    try:
        return int(known["metadata"]["resourceVersion"]) > int(observed["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return False
