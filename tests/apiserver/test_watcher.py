"""From the API server through kopf and the relist to the sink."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.preflight import unserved
from mtls_operator.cluster.relist import Relist
from mtls_operator.cluster.transport import Transport
from mtls_operator.handlers.watcher import Watcher
from mtls_operator.reconcile.ports import MTLSSERVICE, POD, SECRET, Object, Ref, Resource
from mtls_operator.reconcile.watched import WATCHED
from tests.apiserver.conftest import CRDS
from tests.cluster import control_plane
from tests.cluster.kubectl import Kubectl
from tests.cluster.layout import Cluster

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]

HOME = "mtls-system"


class Operator:
    """Watcher and Relist as main puts them together, and what reached the core."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.starts = 0
        self.stalls = 0
        self.relist = Relist(ApiClient(transport), settings, self._sink, self._stalled, random.Random(1))
        self.relist.patience = 2
        resources = [watched.resource for watched in WATCHED]
        self.watcher = Watcher(
            settings,
            self.relist.take,
            lambda: unserved(transport, resources),
            random.Random(1),
            self._started,
        )

    def _sink(self, event_type: str, resource: Resource, body: Object) -> None:
        self.events.append((event_type, resource.kind, body["metadata"]["name"]))

    def _started(self) -> None:
        self.starts += 1
        self.relist.soon()

    def _stalled(self) -> None:
        self.stalls += 1
        self.watcher.restart()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        watching = asyncio.create_task(self.watcher.run(stop))
        relisting = asyncio.create_task(self.relist.run())
        try:
            yield
        finally:
            stop.set()
            relisting.cancel()
            await asyncio.wait([watching, relisting])
        await watching
        with suppress(asyncio.CancelledError):
            await relisting

    async def synced(self) -> None:
        async with asyncio.timeout(20):
            await self.relist.synced.wait()

    async def told(self, *event: str, seconds: float = 10) -> None:
        """Wait for this event; a watch lists what it was too late to see added."""
        kinds = ("ADDED", "LISTED") if event[0] == "ADDED" else event[:1]
        await until(lambda: any((kind, *event[1:]) in self.events for kind in kinds), seconds)


async def until(condition: Callable[[], bool], seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    begun = clock()
    while not condition():
        assert clock() - begun < seconds
        await asyncio.sleep(0.05)


def restart(cluster: Cluster) -> None:
    control_plane.stop_apiserver(cluster)
    control_plane.start(cluster)


@pytest.fixture
def operator(transport: Transport, namespace: str) -> Operator:
    return Operator(transport, Settings(HOME, "image", watched_namespaces=(namespace,)))


def labelled(kind: str, namespace: str, name: str, **labels: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


def ours(namespace: str, name: str) -> Object:
    return labelled("Secret", namespace, name, **{names.LABEL_USE: names.USE_OWNED})


def service(namespace: str, name: str = "orders") -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": {}}


async def test_what_exists_at_the_start_is_all_delivered_before_synced(
    operator: Operator, client: ApiClient, namespace: str
) -> None:
    await client.create(MTLSSERVICE, service(namespace))
    await client.create(SECRET, ours(namespace, "orders-server"))
    await client.create(SECRET, labelled("Secret", namespace, "foreign"))
    container = {"name": "c", "image": "none"}
    pod = labelled("Pod", namespace, "orders-0", **{names.LABEL_MANAGED_BY: names.MANAGED_BY})
    await client.create(POD, {**pod, "spec": {"containers": [container]}})

    async with operator.running():
        await operator.synced()
        assert sorted(set(operator.events)) >= [
            ("LISTED", "MTLSService", "orders"),
            ("LISTED", "Pod", "orders-0"),
            ("LISTED", "Secret", "orders-server"),
        ]
        assert "foreign" not in {name for _, _, name in operator.events}
        assert operator.relist.trouble == ""
        assert (operator.starts, operator.stalls) == (1, 0)


async def test_changes_arrive_and_a_stripped_label_is_a_deletion(
    operator: Operator, client: ApiClient, namespace: str
) -> None:
    async with operator.running():
        await operator.synced()
        created = await client.create(SECRET, ours(namespace, "leaf"))
        await operator.told("ADDED", "Secret", "leaf")
        changed = await client.replace(SECRET, {**created, "data": {"a": "YQ=="}})
        await operator.told("MODIFIED", "Secret", "leaf")
        changed["metadata"]["labels"] = {}
        await client.replace(SECRET, changed)
        await operator.told("DELETED", "Secret", "leaf")


async def test_of_the_operators_own_namespace_only_secrets_count(
    transport: Transport, client: ApiClient, namespace: str
) -> None:
    operator = Operator(transport, Settings(namespace, "image", watched_namespaces=("elsewhere",)))
    async with operator.running():
        await operator.synced()
        await client.create(MTLSSERVICE, service(namespace))
        await client.create(SECRET, ours(namespace, "authority-1"))
        await operator.told("ADDED", "Secret", "authority-1")
        assert [event for event in operator.events if event[1] == "MTLSService"] == []


async def test_a_whole_cluster_is_watched(transport: Transport, client: ApiClient, namespace: str) -> None:
    operator = Operator(transport, Settings(HOME, "image"))
    async with operator.running():
        await operator.synced()
        await client.create(MTLSSERVICE, service(namespace, f"in-{namespace}"))
        await operator.told("ADDED", "MTLSService", f"in-{namespace}")


async def test_the_watches_survive_a_restart_of_the_api_server(
    operator: Operator, client: ApiClient, cluster: Cluster, namespace: str
) -> None:
    async with operator.running():
        await operator.synced()
        await asyncio.to_thread(restart, cluster)
        await client.create(SECRET, ours(namespace, "leaf"))
        await operator.told("ADDED", "Secret", "leaf", seconds=30)
        assert operator.starts == 1


async def test_the_watches_outlive_their_kind(
    operator: Operator, client: ApiClient, kubectl: Kubectl, namespace: str
) -> None:
    async with operator.running():
        await operator.synced()
        await client.create(MTLSSERVICE, service(namespace, "early"))
        await operator.told("ADDED", "MTLSService", "early")
        try:
            await asyncio.to_thread(kubectl.run, "delete", f"--filename={CRDS}/mtlsservices.yaml")
            await operator.told("DELETED", "MTLSService", "early")
            await until(lambda: "not served" in operator.watcher.trouble, 30)
        finally:
            await asyncio.to_thread(kubectl.run, "apply", f"--filename={CRDS}/mtlsservices.yaml")
        await asyncio.to_thread(
            kubectl.run,
            "wait",
            "--for=condition=Established",
            f"--filename={CRDS}/mtlsservices.yaml",
            "--timeout=20s",
        )
        await client.create(MTLSSERVICE, service(namespace, "late"))
        await until(lambda: "late" in {name for _, _, name in operator.events}, 60)
        assert operator.starts >= 2


async def test_a_missed_deletion_is_made_up_for(
    transport: Transport, client: ApiClient, namespace: str
) -> None:
    operator = Operator(transport, Settings(HOME, "image", watched_namespaces=(namespace,)))
    created = await client.create(SECRET, ours(namespace, "leaf"))
    stripped = await client.create(SECRET, ours(namespace, "stripped"))
    operator.relist.take("LISTED", SECRET, created)
    operator.relist.take("LISTED", SECRET, stripped)
    metadata = created["metadata"]
    await client.delete(Ref(SECRET, namespace, "leaf"), metadata["uid"], metadata["resourceVersion"])
    await client.replace(SECRET, {**stripped, "metadata": {**stripped["metadata"], "labels": {}}})
    operator.events.clear()

    await operator.relist.check()
    assert sorted(operator.events) == [("DELETED", "Secret", "leaf"), ("DELETED", "Secret", "stripped")]
    assert operator.stalls == 0

    await operator.relist.check()
    assert len(operator.events) == 2


async def test_what_a_silent_watch_owes_is_fetched_and_the_watch_begun_anew(
    transport: Transport, client: ApiClient, namespace: str
) -> None:
    operator = Operator(transport, Settings(HOME, "image", watched_namespaces=(namespace,)))
    operator.relist.patience = 0.5
    created = await client.create(SECRET, ours(namespace, "changed"))
    operator.relist.take("LISTED", SECRET, created)
    await client.replace(SECRET, {**created, "data": {"a": "YQ=="}})
    await client.create(SECRET, ours(namespace, "new"))
    operator.events.clear()

    await operator.relist.check()

    assert sorted(operator.events) == [("MODIFIED", "Secret", "changed"), ("MODIFIED", "Secret", "new")]
    assert operator.stalls == 1
