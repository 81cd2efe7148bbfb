"""What a spec names of the user's own objects, each with the label by which its owner consents."""

from collections.abc import Iterator

from mtls_operator.api import names
from mtls_operator.api.types import MTLSService

from .ports import SECRET, Object, Ref
from .world import World


def references(service: MTLSService) -> Iterator[Ref]:
    """Return the objects that a service depends on beside its own."""
    for client in service.spec.clients:
        for wanted in client.formats:
            yield Ref(SECRET, service.metadata.namespace, wanted.password_secret_ref.name)


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
