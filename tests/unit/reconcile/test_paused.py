"""Given a service that a person has paused, expect nothing to be written but its status, and no silence."""

from datetime import timedelta

from mtls_operator.api import names
from mtls_operator.reconcile.ports import MTLSSERVICE, POD, SECRET, Object, Ref

from .api import ORDERS, Operator
from .universe import service_object

STATUS = ["status MTLSService shop/orders"]


def annotate(operator: Operator, **annotations: str) -> None:
    """Let a person set these annotations of our group, and no others."""
    known = operator.api.objects[Ref(MTLSSERVICE, *ORDERS)]
    metadata = known["metadata"] | {
        "annotations": {f"{names.GROUP}/{name}": value for name, value in annotations.items()}
    }
    operator.watch(MTLSSERVICE, known | {"metadata": metadata})


async def paused(**annotations: str) -> Operator:
    operator = Operator(service_object({"backend": {"none": {}}, "clients": [{"name": "billing"}]}))
    await operator.reconcile()
    annotate(operator, paused="true", **annotations)
    operator.now += timedelta(seconds=2)
    return operator


def secret(operator: Operator, name: str = "orders-server") -> Object:
    return operator.api.objects[Ref(SECRET, "shop", name)]


async def test_a_paused_service_says_so_and_stays_ready() -> None:
    operator = await paused()
    ready = operator.condition("Ready")
    assert await operator.reconcile() == STATUS
    assert operator.condition("Ready") == ready
    reconciling = operator.condition("Reconciling")
    assert (reconciling["status"], reconciling["reason"]) == ("False", "Paused")
    assert await operator.reconcile() == []


async def test_nothing_is_mended_issued_or_removed() -> None:
    operator = await paused(reissue="now")
    await operator.reconcile()
    operator.watch(SECRET, secret(operator) | {"data": {}})
    spec = {"clients": [{"name": "shipping"}], "replicas": 5}
    known = operator.api.objects[Ref(MTLSSERVICE, *ORDERS)]
    operator.watch(MTLSSERVICE, known | {"spec": spec})
    operator.now += timedelta(seconds=2)
    assert await operator.reconcile() == STATUS
    assert operator.condition("CertificatesIssued")["reason"] == "Malformed"


async def test_pods_are_asked_but_not_touched_and_status_waits_for_none() -> None:
    operator = Operator()
    await operator.reconcile()
    annotate(operator, paused="true")
    operator.now += timedelta(seconds=2)
    metadata = {"name": "orders-a", "namespace": "shop", "labels": {names.LABEL_SERVICE: "orders"}}
    operator.watch(POD, {"metadata": metadata, "status": {"podIP": "10.0.0.9", "phase": "Running"}})
    assert await operator.reconcile() == STATUS
    assert operator.actor.memory(ORDERS).deliveries


async def test_a_certificate_that_is_due_is_warned_of_once_in_status_and_event() -> None:
    operator = await paused()
    await operator.reconcile()
    operator.now += timedelta(hours=14)
    assert await operator.reconcile() == STATUS
    ends = secret(operator)["metadata"]["annotations"][names.ANNOTATION_NOT_AFTER]
    warning = f"expires at {ends} and is not renewed: remove the annotation mtls-operator.io/paused"
    assert operator.condition("CertificatesIssued")["message"].endswith(warning)
    assert operator.condition("Ready")["status"] == "True"
    assert operator.events == ["RenewalPaused"]
    operator.now += timedelta(minutes=1)
    assert await operator.reconcile() == []


async def test_it_is_looked_at_when_the_next_certificate_is_due_and_when_it_ends() -> None:
    operator = await paused()
    await operator.reconcile()
    begun, moments = operator.now, []
    while (due := operator.deadlines.next()) and due < begun + timedelta(days=2):
        moments.append(due)
        operator.now = due
        operator.deadlines.due(due)
        await operator.reconcile()
    assert moments == sorted(set(moments))
    assert moments[-1] - begun == timedelta(hours=24, seconds=-2)
    assert operator.condition("Ready")["reason"] == "Expired"


async def test_it_goes_on_where_it_was_once_the_annotation_is_gone() -> None:
    operator = await paused(reissue="now")
    await operator.reconcile()
    serial = secret(operator)["metadata"]["annotations"][names.ANNOTATION_SERIAL]
    annotate(operator, paused="false", reissue="now")
    operator.now += timedelta(seconds=2)
    assert "replace Secret shop/orders-server" in await operator.reconcile()
    assert secret(operator)["metadata"]["annotations"][names.ANNOTATION_SERIAL] != serial
    assert operator.condition("Reconciling")["reason"] != "Paused"


async def test_a_rotation_that_is_asked_for_waits() -> None:
    operator = await paused(**{"rotate-authority": "now"})
    ready = operator.condition("Ready")
    assert await operator.reconcile() == STATUS
    assert operator.condition("Ready") == ready
    assert operator.condition("AuthorityRotating")["reason"] == "Paused"
    annotate(operator, **{"rotate-authority": "now"})
    operator.now += timedelta(seconds=2)
    assert "replace Secret mtls-system/authority-uid-1" in await operator.reconcile()
    assert operator.condition("AuthorityRotating")["status"] == "True"


async def test_a_new_service_that_is_paused_from_the_start_gets_nothing() -> None:
    operator = Operator(service_object(annotations={names.ANNOTATION_PAUSED: "true"}))
    assert set(await operator.reconcile()) == set(STATUS)
    assert operator.condition("Ready")["status"] == "False"
