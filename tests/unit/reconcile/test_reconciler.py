"""One pass over one service: what is written, said and left alone."""

import copy
from datetime import timedelta

import pytest

from mtls_operator.api import names
from mtls_operator.reconcile.ports import (
    DEPLOYMENT,
    MTLSSERVICE,
    NETWORK_POLICY,
    POD,
    SECRET,
    SERVICE,
    Object,
    Ref,
    RefusedError,
    Resource,
    UnavailableError,
)
from mtls_operator.reconcile.steps import MOST_AT_ONCE

from .api import ORDERS, Operator
from .universe import service_object


async def test_a_service_is_claimed_provided_and_told_of_in_one_pass() -> None:
    operator = Operator()
    writes = await operator.reconcile()
    assert writes[0] == writes[-1] == "status MTLSService shop/orders"
    assert "apply Deployment shop/orders" in writes
    assert operator.status["clientsReady"] == 1
    assert await operator.reconcile() == []


async def test_a_secret_in_another_namespace_never_gets_the_keys_of_a_service_that_it_names() -> None:
    operator = Operator()
    labels = {
        names.LABEL_USE: "owned",
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_SERVICE: "orders",
    }
    metadata = {
        "namespace": "thieves",
        "name": "orders-client-billing",
        "labels": labels,
        "annotations": {names.ANNOTATION_OWNER: "shop/orders"},
    }
    operator.watch(SECRET, {"kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": {}})
    await operator.reconcile()
    assert operator.api.objects[Ref(SECRET, "thieves", "orders-client-billing")]["data"] == {}
    assert operator.api.objects[Ref(SECRET, "shop", "orders-client-billing")]["data"]


@pytest.mark.parametrize(
    ("resource", "name", "field", "altered"),
    [
        (SECRET, "orders-server", "labels", {names.LABEL_COMPONENT: names.AUTHORITY}),
        (SECRET, "orders-server", "labels", {names.LABEL_SERVICE: "payments"}),
        (SECRET, "orders-client-billing", "annotations", {names.ANNOTATION_OWNER: "bank/vault"}),
        (DEPLOYMENT, "orders", "labels", {names.LABEL_SERVICE: "payments"}),
    ],
)
@pytest.mark.parametrize("owners_too", [False, True])
async def test_what_is_labelled_for_somebody_else_is_healed_by_one_write(
    resource: Resource, name: str, field: str, altered: dict[str, str], *, owners_too: bool
) -> None:
    operator = Operator()
    await operator.reconcile()
    ref = Ref(resource, "shop", name)
    body = copy.deepcopy(operator.api.objects[ref])
    body["metadata"].setdefault(field, {}).update(altered)
    if owners_too:
        body["metadata"]["ownerReferences"] = []
    operator.watch(resource, body)
    assert len(await operator.reconcile()) <= 1
    assert operator.api.objects[ref]["metadata"]["labels"][names.LABEL_SERVICE] == "orders"
    assert await operator.reconcile() == []


async def test_an_object_that_the_api_server_spells_otherwise_is_applied_once() -> None:
    """Such as a probe's period of 0, which is stored as 10."""
    service = service_object()
    odd = {"spec": {"containers": [{"name": "server", "livenessProbe": {"periodSeconds": 0}}]}}
    operator = Operator({**service, "spec": {**service["spec"], "template": odd}})
    operator.api.spells_otherwise = _with_defaults
    await operator.reconcile()
    operator.now += timedelta(seconds=5)
    assert await operator.reconcile() == []
    assert operator.api.writes.count("apply Deployment shop/orders") <= 2


def _with_defaults(body: Object) -> Object:
    spelled = copy.deepcopy(body)
    if spelled["kind"] == "Deployment":
        spelled["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = 10
    return spelled


async def test_a_refused_secret_is_told_once_and_never_said_to_be_there() -> None:
    operator = Operator()
    operator.api.refusals["Secret", "orders-server"] = RefusedError("exceeded quota")
    await operator.reconcile()
    assert "serverCertificate" not in operator.status
    assert operator.condition("CertificatesIssued")["reason"] == "Missing"
    assert operator.condition("Ready")["message"] == "Secret orders-server: exceeded quota"
    operator.now += timedelta(seconds=15)
    assert await operator.reconcile() == []


async def test_a_renewal_that_is_refused_leaves_the_certificate_that_serves_in_status() -> None:
    operator = Operator()
    await operator.reconcile()
    before = operator.status["serverCertificate"]
    operator.api.refusals["Secret", "orders-server"] = RefusedError("denied")
    operator.now += timedelta(hours=13.5)
    await operator.reconcile()
    assert operator.status["serverCertificate"] == before
    assert operator.condition("CertificatesIssued")["status"] == "True"


async def test_a_write_that_keeps_failing_is_told_and_then_taken_back() -> None:
    operator = Operator()
    operator.api.refusals["Deployment", "orders"] = UnavailableError("HTTP 500: no such field")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await operator.reconcile()
        operator.now += timedelta(seconds=31)
    assert operator.condition("Stalled")["reason"] == "WriteFailing"
    assert operator.condition("Ready")["message"] == "HTTP 500: no such field"
    operator.api.refusals.clear()
    await operator.reconcile()
    assert operator.condition("Stalled")["status"] == "False"


async def test_a_pod_that_is_gone_is_forgotten() -> None:
    operator = Operator()
    metadata = {"name": "orders-a", "namespace": "shop", "labels": {names.LABEL_SERVICE: "orders"}}
    operator.watch(POD, {"metadata": metadata, "status": {"podIP": "10.0.0.9", "phase": "Running"}})
    await operator.reconcile()
    assert operator.actor.memory(ORDERS).deliveries
    operator.store.drop(Ref(POD, "shop", "orders-a"))
    await operator.reconcile()
    assert not operator.actor.memory(ORDERS).deliveries


async def test_a_name_that_is_taken_is_left_alone_until_it_is_free() -> None:
    operator = Operator()
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "orders", "namespace": "shop"}}
    operator.api.seed(SERVICE, theirs)
    await operator.reconcile()
    assert operator.condition("Stalled")["reason"] == operator.events[0] == "NameTaken"
    del operator.api.objects[Ref(SERVICE, "shop", "orders")]
    operator.now += timedelta(seconds=11)
    assert "apply Service shop/orders" in await operator.reconcile()
    assert operator.condition("Stalled")["status"] == "False"


async def test_a_write_that_met_another_object_is_no_event() -> None:
    operator = Operator()
    await operator.reconcile()
    ref = Ref(SECRET, "shop", "orders-server")
    operator.store.drop(ref)  # as after its label was stripped
    operator.api.objects[ref]["metadata"]["labels"].pop(names.LABEL_USE)
    await operator.reconcile()
    assert operator.events == ["ContentsChanged"]


async def test_status_is_written_although_the_clock_was_set_back_since_the_last_time() -> None:
    operator = Operator()
    await operator.reconcile()
    operator.now -= timedelta(minutes=10)
    operator.watch(MTLSSERVICE, service_object({"clients": []}, generation=2) | {"status": operator.status})
    assert "status MTLSService shop/orders" in await operator.reconcile()


async def test_a_service_of_many_clients_sends_few_writes_at_a_time() -> None:
    operator = Operator(service_object({"clients": [{"name": f"client-{number}"} for number in range(50)]}))
    await operator.reconcile()
    assert operator.status["clientsReady"] == 50
    assert operator.api.most_in_flight <= MOST_AT_ONCE


@pytest.mark.parametrize(
    ("resource", "name"),
    [(SECRET, "orders-client-billing"), (NETWORK_POLICY, "orders")],
    ids=["Secret", "NetworkPolicy"],
)
async def test_what_a_finalizer_keeps_is_deleted_once_and_holds_nothing_up(
    resource: Resource, name: str
) -> None:
    operator = Operator()
    await operator.reconcile()
    kept = copy.deepcopy(operator.api.objects[Ref(resource, "shop", name)])
    kept["metadata"] |= {"deletionTimestamp": "2026-01-01T12:00:00Z", "finalizers": ["example.com/slow"]}
    operator.watch(resource, kept)
    stored = operator.api.objects[Ref(MTLSSERVICE, *ORDERS)]
    spec = {"clients": [], "networkPolicy": {"enabled": False}}
    operator.watch(MTLSSERVICE, stored | {"spec": spec})
    operator.now += timedelta(seconds=2)
    writes = await operator.reconcile()
    assert f"delete {resource.kind} shop/{name}" not in writes
    assert operator.status["clientsTotal"] == 0
    assert await operator.reconcile() == []
