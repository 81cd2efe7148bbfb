"""Given a world, expect these writes."""

import base64
import json
from collections.abc import Callable

import pytest
from cryptography import x509

from mtls_operator.api import names
from mtls_operator.reconcile.plan import Create
from mtls_operator.reconcile.ports import SECRET, SERVICE, SERVICE_ACCOUNT, Object, Ref
from mtls_operator.reconcile.status.service import build_status

from .universe import Universe, service_object

FIRST_WRITES = [
    "Create Secret authority-uid-1",
    "Create Secret orders-server",
    "Create Secret orders-client-billing",
    "Apply ServiceAccount orders",
    "Apply Service orders",
    "Apply PodDisruptionBudget orders",
    "Apply NetworkPolicy orders",
    "Apply Deployment orders",
]


def test_a_new_service_gets_authorities_then_leaves_then_its_deployment(universe: Universe) -> None:
    assert universe.settle() == FIRST_WRITES
    assert universe.notices == []


def test_nothing_is_signed_before_the_authorities_are_stored(universe: Universe) -> None:
    _, plan = universe.decide()
    assert [type(write).__name__ for write in plan.writes] == ["Create"]
    assert universe.objects == {}


def test_a_settled_world_is_left_alone(settled: Universe) -> None:
    assert settled.settle() == []
    assert settled.after(hours=11).settle() == []


def test_the_plan_wakes_at_the_earliest_renewal(settled: Universe) -> None:
    _, plan = settled.decide()
    renewals = [
        settled.secret(name)["metadata"]["annotations"][names.ANNOTATION_RENEWAL_TIME]
        for name in ("orders-server", "orders-client-billing")
    ]
    assert plan.wake is not None
    assert plan.wake.isoformat().replace("+00:00", "Z") == min(renewals)


def test_a_renewal_is_one_write_per_leaf_and_no_event(settled: Universe) -> None:
    before = settled.file("orders-server", "tls.crt")
    assert settled.after(hours=13.5).settle() == [
        "Replace Secret orders-server",
        "Replace Secret orders-client-billing",
    ]
    assert settled.file("orders-server", "tls.crt") != before
    assert settled.notices == []


def test_a_renewal_changes_the_key_and_keeps_the_anchors(settled: Universe) -> None:
    key, anchors = settled.file("orders-server", "tls.key"), settled.file("orders-server", "ca.crt")
    settled.after(hours=13.5).settle()
    assert settled.file("orders-server", "tls.key") != key
    assert settled.file("orders-server", "ca.crt") == anchors


def test_the_server_trusts_the_client_authority_and_callers_the_server_authority(settled: Universe) -> None:
    authority = settled.secret("authority-uid-1")["data"]
    assert settled.file("orders-server", "ca.crt") == base64.b64decode(authority["client.crt"])
    assert settled.file("orders-client-billing", "ca.crt") == base64.b64decode(authority["server.crt"])


def test_no_authority_key_leaves_the_authority_secret(settled: Universe) -> None:
    authority = settled.secret("authority-uid-1")["data"]
    for name in ("orders-server", "orders-client-billing"):
        assert not {authority["client.key"], authority["server.key"]} & set(
            settled.secret(name)["data"].values()
        )


def _delete(name: str) -> Callable[[Universe], None]:
    def alter(universe: Universe) -> None:
        universe.objects.pop(Ref(SECRET, "shop", name))

    return alter


def _set(name: str, file: str, value: bytes) -> Callable[[Universe], None]:
    def alter(universe: Universe) -> None:
        universe.secret(name)["data"][file] = base64.b64encode(value).decode()

    return alter


def _annotate(value: str) -> Callable[[Universe], None]:
    def alter(universe: Universe) -> None:
        universe.secret("orders-server")["metadata"]["annotations"][names.ANNOTATION_REASON] = value

    return alter


def _not_base64(universe: Universe) -> None:
    universe.secret("orders-server")["data"]["tls.key"] = "%%%"


def _strip_label(universe: Universe) -> None:
    universe.secret("orders-server")["metadata"]["labels"].pop(names.LABEL_USE)


def _strip_owner(universe: Universe) -> None:
    universe.secret("orders-server")["metadata"]["ownerReferences"] = []


@pytest.mark.parametrize(
    ("alter", "verb", "reason"),
    [
        (_delete("orders-server"), "Create", "Missing"),
        (_delete("orders-client-billing"), "Create", "Missing"),
        (_set("orders-server", "tls.key", b"garbled"), "Replace", "Malformed"),
        (_not_base64, "Replace", "Malformed"),
        (_set("orders-server", "tls.crt", b""), "Replace", "Malformed"),
        (_set("orders-server", "ca.crt", b""), "Replace", "ContentsChanged"),
        (_set("orders-server", "policy.json", b"{}"), "Replace", "ContentsChanged"),
        (_set("orders-client-billing", "extra", b"x"), "Replace", "ContentsChanged"),
        (_annotate(""), "Replace", "ContentsChanged"),
        (_annotate(": nothing"), "Replace", "ContentsChanged"),
        (_annotate("Long: " + 40_000 * "x"), "Replace", "ContentsChanged"),
        (_strip_label, "Replace", "ContentsChanged"),
        (_strip_owner, "Replace", "ContentsChanged"),
    ],
)
def test_an_altered_secret_is_healed_by_one_write_and_the_reason_is_told(
    settled: Universe, alter: Callable[[Universe], None], verb: str, reason: str
) -> None:
    wanted = {ref: set(item["data"]) for ref, item in settled.objects.items() if ref.resource == SECRET}
    alter(settled)
    writes = settled.settle()
    assert [write.split()[0] for write in writes] == [verb]
    assert [notice.reason for notice in settled.notices] == [reason]
    healed = settled.secret(writes[0].split()[2])
    assert healed["metadata"]["annotations"][names.ANNOTATION_REASON].startswith(f"{reason}: ")
    assert healed["data"].keys() == wanted[Ref(SECRET, "shop", healed["metadata"]["name"])]
    assert settled.settle() == []


def test_a_heal_that_needs_no_new_leaf_keeps_the_leaf(settled: Universe) -> None:
    certificate = settled.file("orders-server", "tls.crt")
    _set("orders-server", "ca.crt", b"")(settled)
    settled.settle()
    assert settled.file("orders-server", "tls.crt") == certificate


def test_labels_and_annotations_of_others_survive_a_write(settled: Universe) -> None:
    metadata = settled.secret("orders-server")["metadata"]
    metadata["labels"]["team"] = "blue"
    metadata["annotations"]["note"] = "kept"
    settled.after(hours=13.5).settle()
    metadata = settled.secret("orders-server")["metadata"]
    assert (metadata["labels"]["team"], metadata["annotations"]["note"]) == ("blue", "kept")


def test_a_stripped_authority_keeps_its_keys(settled: Universe) -> None:
    authority = settled.secret("authority-uid-1")
    data = dict(authority["data"])
    authority["metadata"]["labels"] = {}
    assert settled.settle() == ["Replace Secret authority-uid-1"]
    assert settled.secret("authority-uid-1")["data"] == data


def test_a_request_reissues_every_leaf_once(settled: Universe) -> None:
    settled.service["metadata"]["annotations"] = {names.ANNOTATION_REISSUE: "2026-01"}
    assert settled.settle() == [
        "Replace Secret authority-uid-1",
        "Replace Secret orders-server",
        "Replace Secret orders-client-billing",
    ]
    assert {notice.reason for notice in settled.notices} == {"Requested"}
    assert settled.settle() == []


def test_a_request_present_at_first_sight_counts_as_handled() -> None:
    universe = Universe(service=service_object(annotations={names.ANNOTATION_REISSUE: "old"}))
    assert universe.settle() == FIRST_WRITES


def test_a_new_client_gets_a_secret_and_joins_the_policy(settled: Universe) -> None:
    settled.service["spec"]["clients"].append({"name": "audit", "tenant": "eu"})
    assert settled.settle() == ["Replace Secret orders-server", "Create Secret orders-client-audit"]
    policy = json.loads(settled.file("orders-server", "policy.json"))
    assert policy["clients"]["spiffe://cluster.local/ns/shop/mtlsservice/orders/client/audit"] == {
        "name": "audit",
        "tenant": "eu",
    }


def test_many_clients_get_their_secrets_step_by_step() -> None:
    clients = [{"name": f"client-{number}"} for number in range(250)]
    universe = Universe(service_object({"clients": clients}))
    universe.carry_out(universe.decide()[1])
    report, plan = universe.decide()
    assert sum(write.resource == SECRET for write in plan.writes if isinstance(write, Create)) == 100
    assert plan.more
    assert build_status(universe.world(), report, ())["clientsReady"] == 0
    universe.settle()
    assert universe.service["status"]["clientsReady"] == 250


def test_slow_keys_are_made_a_few_a_pass_so_that_other_services_get_their_turn() -> None:
    rsa = {"certificates": {"privateKey": {"algorithm": "RSA", "size": 2048}}}
    universe = Universe(service_object({"clients": [{"name": name} for name in "abc"]} | rsa))
    universe.carry_out(universe.decide()[1])
    _, plan = universe.decide()
    assert sum(write.resource == SECRET for write in plan.writes if isinstance(write, Create)) == 2
    assert plan.more
    universe.settle()
    assert not universe.decide()[1].more


def test_no_pod_runs_under_the_service_account_of_somebody_else() -> None:
    universe = Universe()
    universe.objects[Ref(SERVICE_ACCOUNT, "shop", "orders")] = _foreign("ServiceAccount", "orders")
    assert "Apply Deployment orders" not in universe.settle()
    assert [problem.reason for problem in universe.problems] == ["NameTaken"]


def test_a_removed_client_loses_secret_and_policy_entry(settled: Universe) -> None:
    settled.service["spec"]["clients"] = []
    assert settled.settle() == [
        "Replace Secret authority-uid-1",
        "Replace Secret orders-server",
        "Delete Secret orders-client-billing",
    ]
    assert "clients" not in json.loads(settled.file("orders-server", "policy.json"))


def test_a_secret_of_somebody_else_that_shall_go_with_the_service_is_not_deleted_before(
    settled: Universe,
) -> None:
    theirs = _foreign("Secret", "partners")
    theirs["metadata"]["labels"] = {names.LABEL_USE: "trust"}
    owners = settled.secret("orders-server")["metadata"]["ownerReferences"]
    theirs["metadata"]["ownerReferences"] = owners
    settled.objects[Ref(SECRET, "shop", "partners")] = theirs
    assert settled.settle() == []


def test_a_client_certificate_names_its_one_identity(settled: Universe) -> None:
    leaf = x509.load_pem_x509_certificate(settled.file("orders-client-billing", "tls.crt"))
    names_of_leaf = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names_of_leaf] == [
        "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing"
    ]


def test_a_client_that_asks_for_too_short_a_certificate_is_served_and_told() -> None:
    asking = service_object({"clients": [{"name": "billing", "duration": "5m"}]})
    universe = Universe(asking)
    assert "Create Secret orders-client-billing" in universe.settle()
    [problem] = universe.problems
    assert problem.reason == "InvalidSpec"
    assert "write a duration of at least 10m" in problem.message


def test_backend_none_has_certificates_only() -> None:
    universe = Universe(service=service_object({"backend": {"none": {}}}))
    assert universe.settle() == ["Create Secret authority-uid-1", "Create Secret orders-server"]
    conditions = {
        condition["type"]: condition["status"] for condition in universe.service["status"]["conditions"]
    }
    assert conditions["Ready"] == "True"


def test_turning_to_none_deletes_the_workload_and_keeps_the_secrets(settled: Universe) -> None:
    settled.service["spec"]["backend"] = {"none": {}}
    writes = settled.settle()
    assert sorted(write for write in writes if write.startswith("Delete")) == [
        "Delete Deployment orders",
        "Delete NetworkPolicy orders",
        "Delete PodDisruptionBudget orders",
        "Delete Service orders",
        "Delete ServiceAccount orders",
    ]
    assert all("Secret" not in write for write in writes)


def test_an_altered_deployment_is_put_right(settled: Universe) -> None:
    deployment = settled.secret("orders-server") and next(
        item for item in settled.objects.values() if item["kind"] == "Deployment"
    )
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "evil"
    assert settled.settle() == ["Apply Deployment orders"]


def _foreign(kind: str, name: str, api_version: str = "v1") -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": "other", "resourceVersion": "7"},
        "data": {},
    }


def test_a_foreign_secret_of_the_name_stays_untouched_and_is_told() -> None:
    universe = Universe()
    universe.objects[Ref(SECRET, "shop", "orders-server")] = _foreign("Secret", "orders-server")
    writes = universe.settle()
    assert "Create Secret orders-server" not in writes
    assert "Apply Deployment orders" not in writes
    assert [problem.reason for problem in universe.problems] == ["NameTaken"]
    assert "Secret orders-server exists and is not ours" in universe.problems[0].message


def test_a_taken_name_is_told_beside_a_wish_that_is_not_followed() -> None:
    clients = [{"name": "audit", "duration": "5m"}, {"name": "billing"}]
    universe = Universe(service_object({"clients": clients}))
    universe.objects[Ref(SECRET, "shop", "orders-client-billing")] = _foreign(
        "Secret", "orders-client-billing"
    )
    universe.settle()
    conditions = {condition["type"]: condition for condition in universe.service["status"]["conditions"]}
    assert conditions["Stalled"]["reason"] == "InvalidSpec"
    assert conditions["CertificatesIssued"]["reason"] == "NameTaken"


def test_a_name_that_a_live_read_found_taken_is_not_written_to() -> None:
    universe = Universe(taken={Ref(SERVICE, "shop", "orders")})
    assert "Apply Service orders" not in universe.settle()
    _, plan = universe.decide()
    assert plan.wake is not None
    assert (plan.wake - universe.now).total_seconds() == 10


def test_a_secret_of_a_former_service_of_the_name_is_taken_over_whole(settled: Universe) -> None:
    former = settled.file("orders-server", "tls.crt")
    settled.service = service_object(uid="uid-2")
    writes = settled.settle()
    assert writes[:3] == [
        "Create Secret authority-uid-2",
        "Replace Secret orders-server",
        "Replace Secret orders-client-billing",
    ]
    assert settled.file("orders-server", "tls.crt") != former
    owners = settled.secret("orders-server")["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == ["uid-2"]


def test_an_expired_leaf_heals_at_once(settled: Universe) -> None:
    writes = settled.after(hours=30).settle()
    assert "Replace Secret orders-server" in writes
    reason = settled.secret("orders-server")["metadata"]["annotations"][names.ANNOTATION_REASON]
    assert reason.startswith("Expired: ")


def test_a_leaf_that_its_authority_caps_is_not_reissued_for_ever(settled: Universe) -> None:
    settled.after(hours=720 - 3).settle()
    assert settled.settle() == []
    for _ in range(6):
        settled.after(minutes=25).settle()
    assert len(settled.writes) <= 8


def test_trust_since_moves_only_when_an_anchor_is_added(settled: Universe) -> None:
    since = settled.secret("orders-client-billing")["metadata"]["annotations"][names.ANNOTATION_TRUST_SINCE]
    settled.after(hours=13.5).settle()
    annotations = settled.secret("orders-client-billing")["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_TRUST_SINCE] == since
    _set("orders-client-billing", "ca.crt", b"")(settled)
    settled.settle()
    annotations = settled.secret("orders-client-billing")["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_TRUST_SINCE] > since
