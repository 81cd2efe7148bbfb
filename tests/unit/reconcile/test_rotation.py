"""How an authority gives way to the next: prepared, trusted, signing, retired."""

import base64
from datetime import datetime, timedelta

import pytest

from mtls_operator.api import names
from mtls_operator.pki.authority import is_issued_by
from mtls_operator.pki.bundle import fingerprint
from mtls_operator.pki.validity import rfc3339
from mtls_operator.reconcile.decide.gates import MOST_TRIES
from mtls_operator.reconcile.ports import Object

from .trust import (
    AUTHORITY,
    BILLING,
    DAY,
    HOUR,
    MINUTE,
    SERVER,
    annotate,
    certificates,
    leaf,
    prepared,
    reasons,
    rotating,
    signing,
    state,
)
from .universe import START, Universe, service_object


def test_a_settled_service_is_idle(settled: Universe) -> None:
    assert rotating(settled)[:2] == ("False", "Idle")


def test_a_request_prepares_both_authorities_by_one_write_and_delivers_their_trust(served: Universe) -> None:
    old = signing(served, "client"), signing(served, "server")
    annotate(served, rotate_authority="2026")
    assert served.settle() == [
        f"Replace Secret {AUTHORITY}",
        f"Replace Secret {SERVER}",
        f"Replace Secret {BILLING}",
    ]
    assert (signing(served, "client"), signing(served, "server")) == old
    assert len(certificates(served, SERVER)) == len(certificates(served, BILLING)) == 2
    assert reasons(served) == ["AuthorityPrepared"]
    assert served.settle() == []


def test_no_leaf_is_issued_anew_while_the_next_authority_is_prepared(served: Universe) -> None:
    leaves = served.file(SERVER, "tls.crt"), served.file(BILLING, "tls.crt")
    annotate(served, rotate_authority="2026")
    served.settle()
    assert (served.file(SERVER, "tls.crt"), served.file(BILLING, "tls.crt")) == leaves


def test_the_client_authority_waits_for_every_pod_and_says_for_which(served: Universe) -> None:
    served.add_pod("b")
    served.acknowledge("b")
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("b")
    served.answer("a", "stale", frozenset({"other"}), generation=41)
    served.settle()
    assert prepared(served, "client")
    status, phase, message = rotating(served)
    assert (status, phase) == ("True", "Prepared")
    assert "1/2 pods; a still serves generation 41" in message


def test_the_client_authority_signs_once_every_pod_trusts_it(served: Universe) -> None:
    old_key = served.file(AUTHORITY, "client.key")
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    assert not prepared(served, "client")
    assert prepared(served, "server")
    assert base64.b64encode(old_key).decode() not in served.secret(AUTHORITY)["data"].values()
    assert reasons(served) == ["AuthorityPrepared", "AuthoritySigning"]


def test_the_former_authority_is_trusted_until_its_longest_leaf_has_ended(served: Universe) -> None:
    old = signing(served, "client")
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    [retiring] = state(served)["client"]["retiring"]
    assert datetime.fromisoformat(retiring["until"]) == served.now + DAY + 5 * MINUTE
    assert old in certificates(served, SERVER)
    served.after(hours=24, minutes=4).settle()
    assert old in certificates(served, SERVER)
    served.after(minutes=2).settle()
    assert old not in certificates(served, SERVER)
    assert "AuthorityRetired" in reasons(served)


def test_the_server_authority_waits_for_callers_to_pick_up_its_trust(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.after(hours=23, minutes=59).settle()
    assert prepared(served, "server")
    served.after(minutes=2).settle()
    assert not prepared(served, "server")


def test_a_caller_that_got_its_secret_late_delays_the_server_authority(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.service["spec"]["clients"].append({"name": "audit"})
    served.after(hours=12).settle()
    served.after(hours=12, minutes=1).settle()
    assert prepared(served, "server")
    served.after(hours=12).settle()
    assert not prepared(served, "server")


def test_without_callers_the_server_authority_waits_since_it_was_prepared(served: Universe) -> None:
    served.service["spec"]["clients"] = []
    served.settle()
    annotate(served, rotate_authority="2026")
    served.settle()
    assert prepared(served, "server")
    served.after(hours=24).settle()
    assert not prepared(served, "server")


def test_what_was_asked_for_is_followed_once(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    former = signing(served, "client")
    served.after(days=2).settle()
    served.after(days=2).settle()
    assert signing(served, "client") == former
    assert rotating(served)[:2] == ("False", "Idle")


def test_a_request_that_is_there_at_first_sight_counts_as_followed() -> None:
    universe = Universe(service_object(annotations={names.ANNOTATION_ROTATE_AUTHORITY: "2025"}))
    universe.settle()
    assert not prepared(universe, "client")


def test_a_further_request_waits_until_the_one_before_signs(served: Universe) -> None:
    annotate(served, rotate_authority="first")
    served.settle()
    first = certificates(served, AUTHORITY, "client-next.crt")
    annotate(served, rotate_authority="second")
    assert served.settle() == []
    served.acknowledge("a")
    served.settle()
    assert [signing(served, "client")] == first
    assert prepared(served, "client")
    assert certificates(served, AUTHORITY, "client-next.crt") != first


def test_authorities_rotate_by_age_apart_from_each_other_and_in_time(settled: Universe) -> None:
    begun: dict[str, timedelta] = {}
    while len(begun) < 2:
        for role in ("server", "client"):
            if prepared(settled, role):
                begun.setdefault(role, settled.now - START)
        settled.after(hours=5).settle()
    assert all(13 * DAY < after < 20 * DAY for after in begun.values())
    assert abs(begun["server"] - begun["client"]) > 10 * HOUR


@pytest.mark.parametrize("role", ["server", "client"])
def test_another_duration_rotates_that_authority_only(served: Universe, role: str) -> None:
    served.service["spec"]["authority"] = {role: {"generated": {"duration": "900h"}}}
    served.settle()
    other = "client" if role == "server" else "server"
    assert (prepared(served, role), prepared(served, other)) == (True, False)
    [prepared_authority] = certificates(served, AUTHORITY, f"{role}-next.crt")
    assert prepared_authority.not_valid_after_utc == served.now + 900 * HOUR


def test_former_leaves_are_replaced_one_after_the_other() -> None:
    clients = [{"name": f"client-{number}"} for number in range(40)]
    universe = Universe(service_object({"clients": clients, "replicas": 1}))
    universe.settle()
    universe.add_pod("a")
    universe.acknowledge("a")
    annotate(universe, rotate_authority="2026")
    universe.settle()
    universe.acknowledge("a")
    universe.writes.clear()
    universe.notices.clear()
    universe.settle()
    assert not any("client-1" in write for write in universe.writes)
    replaced = []
    for _ in range(6):
        universe.after(hours=1).settle()
        replaced.append(sum(_is_new(universe, client["name"]) for client in clients))
    assert replaced == sorted(replaced)
    assert 5 < replaced[2] < 35
    assert replaced[-1] == 40
    assert {notice.reason for notice in universe.notices} <= {"AuthoritySigning"}


def _is_new(universe: Universe, client: str) -> bool:
    return is_issued_by(leaf(universe, f"orders-client-{client}"), signing(universe, "client"))


def test_a_leaf_of_nobody_is_replaced_at_once_while_former_ones_stay(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    other = Universe()
    other.settle()
    data = served.secret(BILLING)["data"]
    data |= {file: other.secret(BILLING)["data"][file] for file in ("tls.crt", "tls.key")}
    served.settle()
    assert reasons(served)[-1] == "WrongAuthority"


def test_pods_that_do_not_learn_are_replaced_once(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.answer("a", "stale", frozenset({"other"}))
    assert served.after(minutes=4).settle() == []
    assert served.after(minutes=1).settle() == ["Apply Deployment orders"]
    annotations = deployment(served)["spec"]["template"]["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_RESTARTED_FOR].endswith(".prepared")
    served.answer("a", "stale", frozenset({"other"}))
    assert served.after(minutes=30).settle() == []
    served.acknowledge("a")
    assert "Apply Deployment orders" not in served.settle()
    assert deployment(served)["spec"]["template"]["metadata"]["annotations"] == annotations


def deployment(universe: Universe) -> Object:
    return next(item for item in universe.objects.values() if item["kind"] == "Deployment")


def test_a_pod_that_is_young_gets_its_time_before_it_is_replaced(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.after(minutes=10)
    served.add_pod("b", served="stale", generation=1, probed_at=served.now)
    served.pods[-1]["metadata"]["creationTimestamp"] = rfc3339(served.now)
    assert "Apply Deployment orders" not in served.settle()
    assert served.after(minutes=5).settle() == ["Apply Deployment orders"]


def test_a_pod_that_starts_stale_after_the_authority_signs_is_named_and_replaced(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    served.add_pod("b", served="stale", generation=7, probed_at=served.now)
    served.settle()
    assert "b still serves generation 7" in rotating(served)[2]
    assert "Apply Deployment orders" in served.after(minutes=6).settle()


def test_a_pod_that_can_not_be_reached_is_named_and_counts_by_time(served: Universe) -> None:
    served.add_pod("b", error="pod did not answer within 2 s", failures=MOST_TRIES, probed_at=served.now)
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    assert "1/2 pods; b: pod did not answer within 2 s" in rotating(served)[2]
    served.after(hours=24)
    served.settle()
    assert not prepared(served, "client")


@pytest.mark.parametrize(
    "delivery",
    [{}, {"error": "pod did not answer within 2 s", "failures": MOST_TRIES - 1}],
    ids=["never asked", "not asked in vain for long"],
)
def test_no_time_stands_for_a_pod_that_may_answer_yet(served: Universe, delivery: dict[str, object]) -> None:
    """As after a restart of the operator, which knows of no pod what it said before."""
    served.add_pod("b", **delivery)
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.after(hours=24).settle()
    assert prepared(served, "client")


@pytest.mark.parametrize(("replicas", "waits"), [(0, False), (2, True)])
def test_no_pods_acknowledge_only_where_none_are_wanted(
    settled: Universe, replicas: int, *, waits: bool
) -> None:
    settled.service["spec"]["replicas"] = replicas
    annotate(settled, rotate_authority="2026")
    settled.settle()
    assert prepared(settled, "client") == waits


def test_finished_pods_are_not_waited_for(served: Universe) -> None:
    served.add_pod("done", served="stale", probed_at=served.now)
    served.pods[-1]["status"]["phase"] = "Failed"
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    assert not prepared(served, "client")


def test_terminating_pods_are_waited_for(served: Universe) -> None:
    served.add_pod("leaving", served="stale", probed_at=served.now)
    served.pods[-1]["metadata"]["deletionTimestamp"] = rfc3339(served.now)
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    assert prepared(served, "client")


def test_with_backend_none_time_tells_for_both_authorities() -> None:
    universe = Universe(service_object({"backend": {"none": {}}, "clients": [{"name": "billing"}]}))
    universe.settle()
    annotate(universe, rotate_authority="2026")
    universe.settle()
    assert prepared(universe, "client")
    universe.after(hours=24).settle()
    assert not prepared(universe, "client")
    assert not prepared(universe, "server")


def test_the_time_that_callers_get_is_the_users_choice(served: Universe) -> None:
    served.service["spec"]["authority"] = {"propagation": "2h"}
    annotate(served, rotate_authority="2026")
    served.settle()
    served.after(hours=1, minutes=59).settle()
    assert prepared(served, "server")
    served.after(minutes=1).settle()
    assert not prepared(served, "server")


def test_at_its_deadline_the_authority_signs_and_says_who_lagged(served: Universe) -> None:
    ends = signing(served, "client").not_valid_after_utc
    served.now = ends - 49 * HOUR
    served.settle()
    served.answer("a", "stale", frozenset({"other"}), generation=3)
    served.settle()
    assert prepared(served, "client")
    served.now = ends - 48 * HOUR
    served.settle()
    assert not prepared(served, "client")
    warning = next(notice for notice in served.notices if notice.reason == "AuthorityGateSkipped")
    assert warning.severity == "Warning"
    assert "a still serves generation 3" in warning.message


def test_an_authority_that_ended_long_ago_is_replaced_at_once(served: Universe) -> None:
    served.after(hours=721).settle()
    served.settle()
    assert signing(served, "client").not_valid_after_utc > served.now
    assert certificates(served, SERVER, "tls.crt")[0].not_valid_after_utc > served.now
    assert served.settle() == []


def test_pods_are_asked_again_and_again_until_the_former_authority_is_retired(served: Universe) -> None:
    assert served.after(minutes=5).decide()[1].probes == ()
    annotate(served, rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    _, plan = served.decide()
    assert plan.wake == served.now + timedelta(seconds=30)
    assert len(served.after(seconds=30).decide()[1].probes) == 1


def test_rotation_makes_no_service_unready(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    conditions = {each["type"]: each for each in served.service["status"]["conditions"]}
    assert conditions["AuthorityRotating"]["status"] == "True"
    assert conditions["CertificatesIssued"]["status"] == "True"
    assert conditions["Stalled"]["status"] == "False"


def test_status_names_every_authority_that_is_trusted(served: Universe) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    status = served.service["status"]["authorities"]["client"]
    assert status["fingerprint"] == fingerprint(signing(served, "client"))
    assert status["anchors"] == [fingerprint(each) for each in certificates(served, SERVER)]


def test_a_longer_leaf_is_remembered_before_it_is_signed(settled: Universe) -> None:
    settled.service["spec"]["clients"][0]["duration"] = "90h"
    _, plan = settled.decide()
    settled.carry_out(plan)
    assert settled.writes == [f"Replace Secret {AUTHORITY}"]
    assert state(settled)["client"]["longest"] == 90 * 3600
    settled.service["spec"]["clients"][0]["duration"] = "24h"
    settled.settle()
    assert state(settled)["client"]["longest"] == 90 * 3600


@pytest.mark.parametrize("value", ["leak", 1000 * "leak"], ids=["short", "long"])
def test_distrust_is_at_once_and_complete(served: Universe, value: str) -> None:
    former = {signing(served, role) for role in ("server", "client")}
    annotate(served, rotate_authority=f"distrust/{value}")
    served.settle()
    trusted = {*certificates(served, SERVER), *certificates(served, BILLING)}
    assert trusted == {signing(served, role) for role in ("server", "client")}
    assert not trusted & former
    for secret, role in ((SERVER, "server"), (BILLING, "client")):
        assert is_issued_by(leaf(served, secret), signing(served, role))
    assert served.notices[0].severity == "Warning"
    assert served.settle() == []


def test_distrust_overtakes_a_rotation_under_way(served: Universe) -> None:
    annotate(served, rotate_authority="slow")
    served.settle()
    doubtful = certificates(served, AUTHORITY, "client-next.crt")
    annotate(served, rotate_authority="distrust/leak")
    served.settle()
    assert not prepared(served, "client")
    assert signing(served, "client") not in doubtful


@pytest.mark.parametrize("since", ["9999-01-01T00:00:00Z", "2026-01-01T12:00:00", "soon"])
def test_nobody_holds_an_authority_up_by_what_they_write_on_their_secret(
    served: Universe, since: str
) -> None:
    annotate(served, rotate_authority="2026")
    served.settle()
    served.secret(BILLING)["metadata"]["annotations"][names.ANNOTATION_TRUST_SINCE] = since
    served.settle()
    assert prepared(served, "server")
    served.after(hours=24).settle()
    assert not prepared(served, "server")
