"""Who may call a service: each with one identity, and a Secret for its leaf."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mtls_operator.api import defaults, names
from mtls_operator.api.types import ClientFormat, MTLSClient, Workload
from mtls_operator.reconcile.ports import SECRET, Ref
from mtls_operator.reconcile.world import Admitted, World

from .consent import client_ref, secret_ref


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that is to have a leaf; one that is revoked is none."""

    name: str
    """Common name of its certificates."""
    uri: str
    """Its identity."""
    ref: Ref
    """The Secret that holds its leaf."""
    duration: timedelta
    roles: tuple[str, ...] = ()
    tenant: str | None = None
    formats: Sequence[ClientFormat] = ()
    restart: tuple[Workload, ...] = ()
    client: MTLSClient | None = None
    """None: it is a client of the spec."""
    without_leaf: bool = False
    """Whether its Secret has a name that is taken, so that it gets no new leaf."""

    @property
    def full_name(self) -> str:
        """Return the name that no other caller of the service has: the application is told that one."""
        return f"{self.client.metadata.namespace}/{self.name}" if self.client else self.name


def callers(world: World) -> Iterator[Caller]:
    """Return whom the spec lets call, in its order, then the MTLSClients that it admits."""
    service = world.service
    for client in service.spec.clients:
        if not client.revoked:
            secret = names.client_secret(service.metadata.name, client.name)
            yield Caller(
                name=client.name,
                uri=client_uri(world, client.name),
                ref=Ref(SECRET, service.metadata.namespace, secret),
                duration=defaults.client_duration(service, client),
                roles=client.roles,
                tenant=client.tenant,
                formats=client.formats,
                restart=client.restart,
            )
    for admitted in world.admission.admitted:
        taken = client_ref(admitted.client) in world.admission.problems
        yield _elsewhere(world, admitted, without_leaf=taken)


def _elsewhere(world: World, admitted: Admitted, *, without_leaf: bool) -> Caller:
    client, consent = admitted
    trust_domain = defaults.trust_domain(world.service.spec.certificates)
    return Caller(
        name=client.metadata.name,
        uri=names.mtlsclient_uri(trust_domain, client.metadata.namespace, client.metadata.name),
        ref=secret_ref(client),
        duration=defaults.client_duration(world.service, client.spec),
        roles=consent.roles,
        tenant=consent.tenant,
        formats=client.spec.formats,
        restart=client.spec.restart,
        client=client,
        without_leaf=without_leaf,
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
