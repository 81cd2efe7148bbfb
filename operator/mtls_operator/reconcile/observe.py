"""Observe: gather what the store, and the memory of this process, know of one service."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSClient, MTLSService

from .decide.consent import admit, secret_ref
from .memory import Memory
from .ports import POD, SECRET, WORKLOAD, Key, Object, Ref, Resource, ref_of
from .references import references
from .store import Holder, Store
from .world import World

_ESSENTIAL = ("serviceRef", "secretName")


def observe(store: Store, memory: Memory, settings: Settings, service: MTLSService, now: datetime) -> World:
    """Return the world of this service; what it names is noted, so that changes of that concern it too."""
    key = Key(service.metadata.namespace, service.metadata.name)
    callers = _callers(store, memory, key)
    named = set(references(service, callers))
    store.refer(key, named | {secret_ref(client) for client in callers})
    pods = tuple(store.of(key, POD))
    for uid in memory.deliveries.keys() - {pod["metadata"]["uid"] for pod in pods}:
        del memory.deliveries[uid]
    world = World(
        service=service,
        settings=settings,
        now=now,
        authority=store.get(Ref(SECRET, settings.namespace, names.authority_secret(service.metadata.uid))),
        secrets={
            ref: secret
            for secret in (*_known(store, key, SECRET, _leaf_secrets(service)), *_held(store, callers))
            if not _is_authority(ref := ref_of(SECRET, secret), settings)
        },
        callers=callers,
        references={ref: found for ref in named if (found := store.get(ref))},
        workload={
            (resource.kind, item["metadata"]["name"]): item
            for resource in WORKLOAD
            for item in _known(store, key, resource, (key.name,))
        },
        pods=pods,
        deliveries=dict(memory.deliveries),
        rolled=dict(memory.rolled),
        taken=frozenset(memory.taken),
        refused=dict(memory.refused),
        live=frozenset(memory.live),
        unchanged=dict(memory.unchanged),
    )
    return replace(world, admission=admit(world))


def _callers(store: Store, memory: Memory, key: Key) -> tuple[MTLSClient, ...]:
    """Parse the MTLSClients that are news."""
    known = dict(memory.clients)
    memory.clients.clear()
    for observed in store.callers(key):
        version = observed["metadata"]["uid"], observed["metadata"]["resourceVersion"]
        memory.clients[version] = known.get(version) or _read(observed)
    return tuple(memory.clients.values())


def _read(observed: Object) -> MTLSClient:
    """Parse an MTLSClient; of one that a later operator understands better, what every one has."""
    try:
        return MTLSClient.model_validate(observed)
    except ValidationError:
        spec = {field: observed["spec"][field] for field in _ESSENTIAL}
        return MTLSClient.model_validate({**observed, "spec": spec, "status": None})


def _known(store: Store, key: Key, resource: Resource, wanted: Iterable[str]) -> Iterator[Object]:
    """Return what says that it belongs to the service, and what has a name that the service needs."""
    yield from store.of(key, resource)
    for name in wanted:
        observed = store.get(Ref(resource, key.namespace, name))
        if observed is not None:
            yield observed


def _held(store: Store, callers: Iterable[MTLSClient]) -> Iterator[Object]:
    """Return the Secrets that MTLSClients own, and those that have a name which one of them wants."""
    for client in callers:
        yield from store.held_by(Holder(client.metadata.namespace, client.metadata.uid))
        wanted = store.get(secret_ref(client))
        if wanted is not None:
            yield wanted


def _is_authority(ref: Ref, settings: Settings) -> bool:
    return ref.namespace == settings.namespace and ref.name.startswith(names.AUTHORITY_PREFIX)


def _leaf_secrets(service: MTLSService) -> Iterator[str]:
    yield names.server_secret(service.metadata.name)
    for client in service.spec.clients:
        yield names.client_secret(service.metadata.name, client.name)
