"""What a spec names of the user's own objects, each with the label by which its owner consents."""

from collections.abc import Iterable, Iterator

from mtls_operator.api import names
from mtls_operator.api.types import MTLSClient, MTLSService, TrustSource

from .ports import CONFIG_MAP, SECRET, Object, Ref
from .world import World


def references(service: MTLSService, callers: Iterable[MTLSClient] = ()) -> Iterator[Ref]:
    """Return the objects of others that a service depends on, and those that its MTLSClients name."""
    for caller in callers:
        for asked in caller.spec.formats:
            yield Ref(SECRET, caller.metadata.namespace, asked.password_secret_ref.name)
    namespace, spec = service.metadata.namespace, service.spec
    for source in (spec.authority.server, spec.authority.client):
        if source.secret_ref is not None:
            yield Ref(SECRET, namespace, source.secret_ref.name)
    for entry in spec.trust:
        ref, _ = trust_reference(namespace, entry)
        yield ref
    for client in spec.clients:
        for wanted in client.formats:
            yield Ref(SECRET, namespace, wanted.password_secret_ref.name)


def trust_reference(namespace: str, entry: TrustSource) -> tuple[Ref, str]:
    """Return the object of an entry of `trust`, and the key of its data."""
    if entry.config_map_ref is not None:
        return Ref(CONFIG_MAP, namespace, entry.config_map_ref.name), entry.config_map_ref.key
    secret = entry.secret_ref
    return Ref(SECRET, namespace, secret.name if secret else ""), secret.key if secret else ""


def resolve(world: World, ref: Ref, use: str) -> Object:
    """Return the object if it is there with this value of the label; without, nobody of ours looks at it.

    Raises:
        ValueError: it is not; says what to do.
    """
    found = world.references.get(ref)
    if found is None or (found["metadata"].get("labels") or {}).get(names.LABEL_USE) != use:
        msg = f"no {ref.resource.kind} {ref.name} has the label {names.LABEL_USE}: {use}; create or label it"
        raise ValueError(msg)
    return found
