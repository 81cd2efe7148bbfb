"""An API server in a dictionary, and the reconciler of one service at work on it."""

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from mtls_operator.api.settings import Settings
from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.reconcile.act import Actor
from mtls_operator.reconcile.deadlines import Deadlines
from mtls_operator.reconcile.metrics import Metrics
from mtls_operator.reconcile.pace import Pace
from mtls_operator.reconcile.ports import (
    MTLSSERVICE,
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    Key,
    Object,
    Ref,
    Resource,
    UnavailableError,
    ref_of,
)
from mtls_operator.reconcile.reconciler import Reconciler, Surroundings
from mtls_operator.reconcile.store import Store
from mtls_server.contract import State

from .universe import SETTINGS, START, service_object

ORDERS = Key("shop", "orders")


class Api:
    """Implements `Cluster`: preconditions hold, and ``refusals`` says which writes fail."""

    def __init__(self) -> None:
        self.objects: dict[Ref, Object] = {}
        self.refusals: dict[tuple[str, str], ClusterError] = {}
        """(kind, name) to the error that each write of it gets."""
        self.unreadable: dict[Ref, ClusterError] = {}
        """Object to the error that each read of it gets."""
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.spells_otherwise: Callable[[Object], Object] = lambda body: body
        """What an apply is stored as; one that changes nothing keeps the resourceVersion."""
        self._version = 100

    def seed(self, resource: Resource, body: Object) -> Object:
        self._version += 1
        stored: Object = copy.deepcopy(body)
        metadata = stored["metadata"]
        stored["metadata"] = {"uid": f"uid-{self._version}"} | metadata
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[ref_of(resource, body)] = stored
        return copy.deepcopy(stored)

    async def get(self, ref: Ref) -> Object | None:
        self.reads.append(f"{ref.resource.kind} {ref.namespace}/{ref.name}")
        if ref in self.unreadable:
            raise self.unreadable[ref]
        return copy.deepcopy(self.objects.get(ref))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> Sequence[Object]:
        raise NotImplementedError

    async def create(self, resource: Resource, body: Object) -> Object:
        ref = await self._receive("create", resource, body)
        if ref in self.objects:
            raise AlreadyExistsError(ref.name)
        return self.seed(resource, body)

    async def replace(self, resource: Resource, body: Object) -> Object:
        ref = await self._receive("replace", resource, body)
        self._require(ref, body["metadata"])
        return self.seed(resource, body)

    async def apply(self, resource: Resource, body: Object) -> Object:
        ref = await self._receive("apply", resource, body)
        if body["metadata"].get("resourceVersion") == "1":
            if ref in self.objects:
                raise AlreadyExistsError(ref.name)
        else:
            self._require(ref, body["metadata"])
        spelled = self.spells_otherwise(body)
        known = self.objects.get(ref)
        if known is not None and _contents(known) == _contents(spelled):
            return copy.deepcopy(known)
        return self.seed(resource, spelled)

    async def apply_status(self, resource: Resource, body: Object) -> Object:
        ref = await self._receive("status", resource, body)
        self._require(ref, body["metadata"])
        return self.seed(resource, {**self.objects[ref], "status": body["status"]})

    async def annotate(self, ref: Ref, uid: str, annotations: Mapping[str, str | None]) -> Object:
        raise NotImplementedError

    async def annotate_template(self, ref: Ref, uid: str, annotations: Mapping[str, str]) -> None:
        await self._receive(
            "restart", ref.resource, {"metadata": {"namespace": ref.namespace, "name": ref.name}}
        )
        self._require(ref, {"uid": uid})
        metadata = self.objects[ref]["spec"]["template"].setdefault("metadata", {})
        metadata.setdefault("annotations", {}).update(annotations)

    async def delete(self, ref: Ref, uid: str, resource_version: str) -> None:
        await self._receive(
            "delete", ref.resource, {"metadata": {"namespace": ref.namespace, "name": ref.name}}
        )
        self._require(ref, {"uid": uid, "resourceVersion": resource_version})
        del self.objects[ref]

    async def post_event(self, body: Object) -> None:
        raise NotImplementedError

    def _require(self, ref: Ref, wanted: Mapping[str, Any]) -> None:
        stored = self.objects.get(ref)
        if stored is None:
            raise ConflictError(ref.name)
        for field in ("uid", "resourceVersion"):
            if field in wanted and wanted[field] != stored["metadata"][field]:
                raise ConflictError(ref.name)

    async def _receive(self, verb: str, resource: Resource, body: Object) -> Ref:
        ref = ref_of(resource, body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        error = self.refusals.get((resource.kind, ref.name))
        if error is not None:
            raise error
        self.writes.append(f"{verb} {resource.kind} {ref.namespace}/{ref.name}")
        return ref


def _contents(body: Object) -> Object:
    versions = {"uid", "resourceVersion"}
    return body | {"metadata": {key: body["metadata"][key] for key in body["metadata"].keys() - versions}}


class _NoPods:
    async def state(self, address: str) -> State:
        raise UnavailableError(f"nobody at {address}")


class Operator:
    """A reconciler, what it watches, and a clock that stands still."""

    def __init__(
        self, service: Object | None = None, settings: Settings = SETTINGS, pace: Pace | None = None
    ) -> None:
        self.now: datetime = START
        self.api = Api()
        self.store = Store(settings.namespace)
        self.deadlines: Deadlines[Key] = Deadlines()
        self.events: list[str] = []
        """Reasons, in order."""
        metrics, pace = Metrics(CollectorRegistry()), pace or Pace()
        self.actor = Actor(self.store, self.api, _NoPods(), lambda: self.now, metrics, pace=pace)
        surroundings = Surroundings(
            settings=settings,
            cluster=self.api,
            actor=self.actor,
            recorder=self,
            entropy=SYSTEM_ENTROPY,
            threads=ThreadPoolExecutor(1),
            clock=lambda: self.now,
            is_alive=self._is_alive,
        )
        self.reconciler = Reconciler(self.store, self.deadlines, surroundings)
        self.watch(MTLSSERVICE, service or service_object())

    def watch(self, resource: Resource, body: Object) -> frozenset[Key]:
        """Let somebody else write an object, and the watch see it; return the services that it concerns."""
        return self.store.put(resource, self.api.seed(resource, body))

    def record(
        self, regarding: Object, severity: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        del regarding, severity, message
        self.events.append(reason)

    async def reconcile(self) -> list[str]:
        """Make one pass; return what it wrote."""
        before = len(self.api.writes)
        await self.reconciler.reconcile(ORDERS)
        return self.api.writes[before:]

    @property
    def status(self) -> Object:
        status: Object = self.api.objects[Ref(MTLSSERVICE, *ORDERS)]["status"]
        return status

    def condition(self, kind: str) -> Object:
        return next(item for item in self.status["conditions"] if item["type"] == kind)

    async def _is_alive(self, identity: str) -> bool:
        del identity
        return True
