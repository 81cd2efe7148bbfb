"""A virtual cluster state for decisions: plans are folded back into the world as the API server would."""

import base64
import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.reconcile.decide.service import Report, decide
from mtls_operator.reconcile.plan import Apply, Create, Delete, Notice, Plan, Problem, Replace
from mtls_operator.reconcile.ports import SECRET, Object, Ref, ref_of
from mtls_operator.reconcile.references import references
from mtls_operator.reconcile.status.service import build_status
from mtls_operator.reconcile.world import Delivery, Rolled, World
from mtls_server import contract

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SETTINGS = Settings(namespace="mtls-system", server_image="localhost/mtls-server:test")


def service_object(spec: dict[str, Any] | None = None, **metadata: Any) -> Object:
    """An `orders` with a client `billing`, as the API server would hand it out."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": "orders",
            "namespace": "shop",
            "uid": "uid-1",
            "generation": 1,
            "resourceVersion": "1",
        }
        | metadata,
        "spec": {"clients": [{"name": "billing", "roles": ["reader"]}]} if spec is None else spec,
    }


def client_object(
    name: str = "web", namespace: str = "front", into: str | None = None, **metadata: Any
) -> Object:
    """An MTLSClient that calls `orders`, as the API server would hand it out; its Secret is `<name>-tls`."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.CLIENT_KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T11:00:00Z",
        }
        | metadata,
        "spec": {"serviceRef": {"namespace": "shop", "name": "orders"}, "secretName": into or f"{name}-tls"},
    }


@dataclass
class Universe:
    """What is stored, and a clock; ``settle`` carries plans out until nothing is left to do."""

    service: Object = field(default_factory=service_object)
    now: datetime = START
    objects: dict[Ref, Object] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    taken: set[Ref] = field(default_factory=set)
    rolled: dict[Ref, Rolled] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    """Names of workloads that do not exist."""
    pods: list[Object] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    _version: int = 100

    def world(self) -> World:
        service = MTLSService.model_validate(self.service)
        authority = names.authority_secret(service.metadata.uid)
        in_shop = [item for ref, item in self.objects.items() if ref.namespace == "shop"]
        return World(
            service=service,
            settings=SETTINGS,
            now=self.now,
            authority=next((item for ref, item in self.objects.items() if ref.name == authority), None),
            secrets={ref_of(SECRET, item): item for item in in_shop if item["kind"] == "Secret"},
            references={ref: self.objects[ref] for ref in references(service) if ref in self.objects},
            workload={
                (item["kind"], item["metadata"]["name"]): item for item in in_shop if item["kind"] != "Secret"
            },
            pods=tuple(self.pods),
            deliveries=dict(self.deliveries),
            rolled=dict(self.rolled),
            taken=frozenset(self.taken),
        )

    def decide(self) -> tuple[Report, Plan]:
        return decide(self.world(), SYSTEM_ENTROPY)

    def settle(self) -> list[str]:
        """Carry out plans until one writes nothing; return the writes of this settling."""
        before = len(self.writes)
        for _ in range(10):
            report, plan = self.decide()
            if not plan.writes and not plan.restarts:
                self.problems = plan.problems
                status = build_status(self.world(), report, plan.problems)
                self.service = {**self.service, "status": status}
                return self.writes[before:]
            self.carry_out(plan)
        pytest.fail(f"does not converge: {self.writes[before:]}")

    def carry_out(self, plan: Plan) -> None:
        for write in plan.writes:
            if isinstance(write, Create | Replace) and write.notice is not None:
                self.notices.append(write.notice)
            match write:
                case Create(resource, body) | Replace(resource, body) | Apply(resource, body):
                    ref = ref_of(resource, body)
                    assert isinstance(write, Create) == (ref not in self.objects) or isinstance(write, Apply)
                    self._store(ref, body)
                case Delete(ref, uid, version):
                    stored = self.objects.pop(ref)
                    assert stored["metadata"]["uid"] == uid
                    assert stored["metadata"]["resourceVersion"] == version
            self.writes.append(f"{type(write).__name__} {ref.resource.kind} {ref.name}")

        for restart in plan.restarts:
            name = f"{restart.ref.resource.kind} {restart.ref.name}"
            if restart.ref.name in self.unknown:
                self.rolled[restart.ref] = Rolled(self.now, problem=f"{name} is not there")
            else:
                self.rolled[restart.ref] = Rolled(self.now, restart.value)
                self.writes.append(f"Restart {name}")

    def _store(self, ref: Ref, body: Object) -> None:
        self._version += 1
        stored = copy.deepcopy(body)
        known = self.objects.get(ref)
        uid = known["metadata"]["uid"] if known else f"uid-{self._version}"
        stored["metadata"] |= {"uid": uid, "resourceVersion": str(self._version)}
        self.objects[ref] = stored

    def secret(self, name: str) -> Object:
        return next(item for ref, item in self.objects.items() if ref.name == name)

    def file(self, secret: str, name: str) -> bytes:
        return base64.b64decode(self.secret(secret)["data"][name])

    def after(self, **passed: float) -> "Universe":
        self.now += timedelta(**passed)
        return self

    def add_pod(self, name: str, **delivery: Any) -> None:
        uid = f"uid-{name}"
        metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": "1"}
        self.pods.append({"metadata": metadata, "status": {"podIP": "10.0.0.9", "phase": "Running"}})
        if delivery:
            self.deliveries[uid] = Delivery(**delivery)

    def digest(self) -> str:
        data = self.secret("orders-server")["data"]
        return contract.digest({name: base64.b64decode(value) for name, value in data.items()})

    def touch(self, pod: str, digest: str, attempt: int) -> None:
        uid = f"uid-{pod}"
        self.deliveries[uid] = self.deliveries[uid].touched(digest, attempt, self.now)

    def answer(self, pod: str, digest: str, anchors: frozenset[str] = frozenset(), **known: Any) -> None:
        uid = f"uid-{pod}"
        before = self.deliveries.get(uid, Delivery())
        self.deliveries[uid] = replace(
            before, served=digest, error="", probed_at=self.now, anchors=anchors, **known
        )

    def acknowledge(self, *pods: str) -> None:
        """Let pods say that they serve the server Secret as it is stored."""
        anchors = x509.load_pem_x509_certificates(self.file("orders-server", "ca.crt"))
        key_ids = frozenset(
            each.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
            for each in anchors
        )
        for pod in pods:
            self.answer(pod, self.digest(), key_ids)
