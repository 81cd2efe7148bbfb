"""What is known of the world: the newest observation of every object that concerns us."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mtls_operator.api import names

from .ownership import holder_uid
from .ports import MTLSCLIENT, MTLSSERVICE, SECRET, Key, Object, Ref, Resource, ref_of


@dataclass(frozen=True, slots=True)
class Holder:
    """One MTLSClient, as what it owns refers to it."""

    namespace: str
    uid: str


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
        self._index: dict[Key | Holder, set[Ref]] = {}
        self._references: dict[Key, frozenset[Ref]] = {}
        self._referrers: dict[Ref, set[Key]] = {}
        self._holders: dict[Holder, Key] = {}

    def put(self, resource: Resource, observed: Object) -> frozenset[Key]:
        """Take in an observation, which is then the store's, and return the keys that it concerns."""
        observed["metadata"].pop("managedFields", None)  # half of an object, and nobody here asks for it
        ref = ref_of(resource, observed)
        known = self._objects.get(ref)
        if known is not None and _is_newer(known, observed):
            return self._keys(ref, known)
        if known is not None:
            self._forget(ref, known)
        self._objects[ref] = observed
        entry = self._entry(ref, observed)
        if entry is not None:
            self._index.setdefault(entry, set()).add(ref)
        if resource == MTLSCLIENT:
            self._holders[_holder_itself(observed)] = client_key(observed)
        return self._keys(ref, *filter(None, (known, observed)))

    def remove(self, resource: Resource, observed: Object) -> frozenset[Key]:
        """Take in that this object is gone, or out of our sight; return the keys that it concerned."""
        ref = ref_of(resource, observed)
        known = self._objects.get(ref)
        if known is None or _is_newer(known, observed):
            return frozenset()
        self._forget(ref, known)
        return self._keys(ref, known) or self._keys(ref, observed)

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
        refs = self._index.get(key, ())
        for ref in sorted(ref for ref in refs if (ref.resource, ref.namespace) == (resource, key.namespace)):
            yield self._objects[ref]

    def callers(self, key: Key) -> list[Object]:
        """Return the MTLSClients that name this service, of all namespaces: oldest first, then by UID."""
        refs = (ref for ref in self._index.get(key, ()) if ref.resource == MTLSCLIENT)
        return sorted((self._objects[ref] for ref in refs), key=_age)

    def held_by(self, holder: Holder) -> Iterator[Object]:
        """Return the Secrets that this MTLSClient owns, in order of name."""
        for ref in sorted(self._index.get(holder, ())):
            yield self._objects[ref]

    def services(self) -> frozenset[Key]:
        """Return every service that was observed, or that an MTLSClient names."""
        services = (Key(ref.namespace, ref.name) for ref in self._objects if ref.resource == MTLSSERVICE)
        return frozenset((*services, *self._holders.values()))

    def refer(self, key: Key, refs: Iterable[Ref]) -> None:
        """Take in which objects of others a service names: these, in place of the former ones."""
        for ref in self._references.pop(key, frozenset()):
            self._referrers[ref].discard(key)
            if not self._referrers[ref]:
                del self._referrers[ref]
        named = frozenset(refs)
        for ref in named:
            self._referrers.setdefault(ref, set()).add(key)
        if named:
            self._references[key] = named

    def _keys(self, ref: Ref, *states: Object) -> frozenset[Key]:
        own = frozenset(filter(None, (self._key(ref, state) for state in states)))
        return own | self._referrers.get(ref, set())

    def _key(self, ref: Ref, state: Object) -> Key | None:
        entry = self._entry(ref, state)
        return self._holders.get(entry) if isinstance(entry, Holder) else entry

    def _entry(self, ref: Ref, state: Object) -> Key | Holder | None:
        """Return whom an object is listed under: its MTLSClient, which may be seen later, or its service."""
        return _holder_of(ref, state) or key_of(ref.resource, state, self._home)

    def _forget(self, ref: Ref, known: Object) -> None:
        del self._objects[ref]
        entry = self._entry(ref, known)
        if entry is not None:
            self._index[entry].discard(ref)
            if not self._index[entry]:
                del self._index[entry]
        if ref.resource == MTLSCLIENT:
            self._holders.pop(_holder_itself(known), None)


def key_of(resource: Resource, observed: Object, home: str) -> Key | None:
    """Return the service that an object says it belongs to: by owner or label, at home by annotation.

    Anybody can write an annotation that names a service elsewhere, except in the operator's own namespace.
    """
    metadata = observed["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if resource == MTLSSERVICE:
        return Key(namespace, name)
    if resource == MTLSCLIENT:
        return client_key(observed)
    if namespace == home and name.startswith(names.AUTHORITY_PREFIX):
        owner = (metadata.get("annotations") or {}).get(names.ANNOTATION_OWNER, "")
        return Key(*owner.split("/")) if owner.count("/") == 1 else None
    for reference in metadata.get("ownerReferences") or ():
        if reference["kind"] == names.KIND and reference["apiVersion"].startswith(f"{names.GROUP}/"):
            return Key(namespace, reference["name"])
    service = (metadata.get("labels") or {}).get(names.LABEL_SERVICE)
    return Key(namespace, service) if service else None


def client_key(client: Object) -> Key:
    """Return the service that an MTLSClient names."""
    reference = client["spec"]["serviceRef"]
    return Key(reference["namespace"], reference["name"])


def _holder_of(ref: Ref, observed: Object) -> Holder | None:
    uid = holder_uid(observed) if ref.resource == SECRET else None
    return Holder(ref.namespace, uid) if uid else None


def _holder_itself(client: Object) -> Holder:
    return Holder(client["metadata"]["namespace"], client["metadata"]["uid"])


def _age(client: Object) -> tuple[str, str]:
    metadata = client["metadata"]
    return metadata.get("creationTimestamp") or "", metadata["uid"]


def _is_newer(known: Object, observed: Object) -> bool:
    """Compare resourceVersions, which are comparable integers since KEP-5504; an odd one counts as news."""
    try:
        return int(known["metadata"]["resourceVersion"]) > int(observed["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return False
