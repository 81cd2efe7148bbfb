"""Who may call a service: each with one identity, and a Secret for its leaf."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mtls_operator.api import defaults, names
from mtls_operator.api.types import ClientFormat

from .ports import SECRET, Ref
from .world import World


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that is to have a leaf; one that is revoked is none."""

    name: str
    uri: str
    """Its identity."""
    ref: Ref
    """The Secret that holds its leaf."""
    duration: timedelta
    formats: Sequence[ClientFormat] = ()


def callers(world: World) -> Iterator[Caller]:
    """Return whom the spec lets call, in its order."""
    service = world.service
    for client in service.spec.clients:
        if not client.revoked:
            secret = names.client_secret(service.metadata.name, client.name)
            yield Caller(
                name=client.name,
                uri=client_uri(world, client.name),
                ref=Ref(SECRET, service.metadata.namespace, secret),
                duration=defaults.client_duration(service, client),
                formats=client.formats,
            )


def revoked_identities(world: World) -> frozenset[str]:
    """Return the identities that the spec says to refuse."""
    clients = world.service.spec.clients
    return frozenset(client_uri(world, client.name) for client in clients if client.revoked)


def client_uri(world: World, client: str) -> str:
    """Return the identity of a client of the spec."""
    metadata = world.service.metadata
    trust_domain = defaults.trust_domain(world.service.spec.certificates)
    return names.client_uri(trust_domain, metadata.namespace, metadata.name, client)
