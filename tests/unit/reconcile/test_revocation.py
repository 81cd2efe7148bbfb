"""Who is revoked, since when, and until when that is remembered."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mtls_operator.api import names
from mtls_operator.reconcile.decide.recovery import read_keyring
from mtls_operator.reconcile.decide.revocation import MAX_ENTRIES, MAX_LEDGER_BYTES, revoke
from mtls_operator.reconcile.plan import Delete, Replace
from mtls_operator.reconcile.ports import SECRET, Ref

from .trust import AUTHORITY, BILLING, DAY, MINUTE, SERVER, annotate, leaf, policy, state
from .universe import START, Universe, service_object

SECOND = timedelta(seconds=1)
BILLING_URI = "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing"


def revoked_at(universe: Universe) -> datetime | None:
    moment = policy(universe).get("revoked", {}).get(BILLING_URI)
    return datetime.fromisoformat(moment) if moment else None


def remove(universe: Universe) -> None:
    universe.service["spec"]["clients"] = []


def add(universe: Universe, **more: bool) -> None:
    universe.service["spec"]["clients"] = [{"name": "billing", **more}]


def test_a_removed_client_is_revoked_in_the_ledger_then_the_policy_then_its_secret_goes(
    settled: Universe,
) -> None:
    remove(settled)
    assert settled.settle() == [
        f"Replace Secret {AUTHORITY}",
        f"Replace Secret {SERVER}",
        f"Delete Secret {BILLING}",
    ]
    assert revoked_at(settled) == settled.now + SECOND
    assert state(settled)["revoked"].keys() == {BILLING_URI}


def test_the_secret_goes_only_when_the_policy_is_stored(settled: Universe) -> None:
    remove(settled)
    settled.carry_out(settled.decide()[1])
    _, plan = settled.decide()
    assert [type(write) for write in plan.writes] == [Replace]
    settled.carry_out(plan)
    _, plan = settled.decide()
    assert [type(write) for write in plan.writes] == [Delete]


def test_a_revoked_client_stays_in_the_spec_without_a_secret_and_is_refused(settled: Universe) -> None:
    add(settled, revoked=True)
    settled.settle()
    assert revoked_at(settled) == settled.now + SECOND
    assert Ref(SECRET, "shop", BILLING) not in settled.objects
    assert "clients" not in policy(settled)
    assert settled.settle() == []
    settled.after(days=40).settle()
    assert revoked_at(settled) == START + SECOND


def test_a_client_that_is_revoked_from_the_start_is_refused_too() -> None:
    universe = Universe(service_object({"clients": [{"name": "billing", "revoked": True}]}))
    universe.settle()
    assert revoked_at(universe) == START + SECOND


@pytest.mark.parametrize("later", [timedelta(), SECOND, timedelta(hours=5)])
def test_a_client_that_is_let_in_again_gets_a_leaf_that_begins_after_its_revocation(
    settled: Universe, later: timedelta
) -> None:
    settled.after(hours=1)
    remove(settled)
    settled.settle()
    at = revoked_at(settled)
    settled.now += later
    add(settled)
    settled.settle()
    assert at is not None
    assert revoked_at(settled) == at
    assert leaf(settled, BILLING).not_valid_before_utc >= at
    assert settled.settle() == []


def test_a_client_that_is_removed_again_is_revoked_anew(settled: Universe) -> None:
    remove(settled)
    settled.settle()
    settled.after(hours=1)
    add(settled)
    settled.settle()
    settled.after(hours=1)
    remove(settled)
    settled.settle()
    assert revoked_at(settled) == settled.now + SECOND


@pytest.mark.parametrize("value", ["leak", 1000 * "leak"], ids=["short", "long"])
def test_a_request_to_revoke_refuses_all_leaves_and_issues_new_ones(settled: Universe, value: str) -> None:
    before = leaf(settled, BILLING), leaf(settled, SERVER)
    annotate(settled, reissue=f"revoke/{value}")
    settled.settle()
    at = revoked_at(settled)
    assert at == settled.now + SECOND
    assert leaf(settled, BILLING).not_valid_before_utc == at
    assert leaf(settled, SERVER) != before[1]
    reason = settled.secret(BILLING)["metadata"]["annotations"][names.ANNOTATION_REASON]
    assert reason.startswith("Revoked: ")
    assert len(settled.secret(BILLING)["metadata"]["annotations"][names.ANNOTATION_REISSUE]) <= 128
    assert settled.settle() == []


def test_a_plain_request_revokes_nobody(settled: Universe) -> None:
    annotate(settled, reissue="2026")
    settled.settle()
    assert revoked_at(settled) is None


def test_an_entry_is_kept_while_a_leaf_of_before_could_hold(settled: Universe) -> None:
    remove(settled)
    settled.settle()
    settled.after(hours=24, minutes=4).settle()
    assert revoked_at(settled) is not None
    _, plan = settled.decide()
    assert plan.wake is not None
    assert plan.wake <= START + SECOND + DAY + 5 * MINUTE
    settled.after(minutes=2).settle()
    assert revoked_at(settled) is None
    assert "revoked" not in state(settled)


def test_it_survives_the_loss_of_the_servers_secret_and_of_the_old_leaf(settled: Universe) -> None:
    remove(settled)
    settled.settle()
    at = revoked_at(settled)
    settled.objects.pop(Ref(SECRET, "shop", SERVER))
    settled.after(minutes=1).settle()
    assert revoked_at(settled) == at


@pytest.mark.parametrize("lost", [SERVER, BILLING])
def test_a_client_is_revoked_although_a_secret_was_lost_when_it_was_removed(
    settled: Universe, lost: str
) -> None:
    remove(settled)
    settled.objects.pop(Ref(SECRET, "shop", lost))
    settled.settle()
    assert revoked_at(settled) is not None


@pytest.mark.parametrize("survivors", range(4))
def test_it_is_carried_through_however_the_operator_dies(settled: Universe, survivors: int) -> None:
    remove(settled)
    for _ in range(survivors):
        settled.carry_out(settled.decide()[1])
    settled.after(minutes=1).settle()
    assert revoked_at(settled) is not None
    assert Ref(SECRET, "shop", BILLING) not in settled.objects
    assert settled.settle() == []


def test_a_client_that_keeps_its_place_is_never_revoked(settled: Universe) -> None:
    settled.service["spec"]["clients"] = [{"name": "audit"}, {"name": "billing", "roles": ["writer"]}]
    settled.settle()
    settled.after(hours=20).settle()
    assert "revoked" not in policy(settled)


def bounded(universe: Universe, ledger: dict[str, datetime]) -> Mapping[str, datetime]:
    """Return what is left of a ledger after a pass."""
    keyring = replace(read_keyring(universe.world()), revoked=ledger)
    return revoke(universe.world(), keyring).revoked


def flood(namespace: str, number: int = 3000, width: int = 4) -> dict[str, datetime]:
    """Entries of very many MTLSClients, newer than all others."""
    return {
        f"spiffe://cluster.local/ns/{namespace}/mtlsclient/{each:0{width}}": START + MINUTE
        for each in range(number)
    }


@pytest.mark.parametrize("is_refused", [True, False], ids=["revoked in the spec", "served"])
def test_a_ledger_that_fills_up_forgets_nobody_whom_the_spec_names(
    settled: Universe, *, is_refused: bool
) -> None:
    """A caller whose key was stolen, and who is served with another one since, would be let in twice."""
    add(settled, revoked=is_refused)
    kept = bounded(settled, {BILLING_URI: START, **flood("front")})
    assert len(kept) == MAX_ENTRIES
    assert BILLING_URI in kept


def test_many_mtlsclients_of_one_namespace_displace_nobody_elsewhere(settled: Universe) -> None:
    others = {
        "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/former": START,
        "spiffe://cluster.local/ns/back/mtlsclient/web": START,
    }
    kept = bounded(settled, {**others, **flood("front")})
    assert len(kept) == MAX_ENTRIES
    assert others.keys() <= kept.keys()


def test_a_ledger_of_long_names_is_bounded_in_bytes(settled: Universe) -> None:
    kept = bounded(settled, flood("front", width=4000))
    assert sum(map(len, kept)) <= MAX_LEDGER_BYTES


@pytest.mark.parametrize(
    "forged",
    [
        {"x" * 300_000: {"name": "a"}},
        {f"spiffe://cluster.local/ns/shop/{number}/mtlsclient/web": {"name": "a"} for number in range(900)},
        {f"spiffe://cluster.local/ns/shop/mtlsclient/x{number}": {"name": "a"} for number in range(1001)},
    ],
    ids=["long", "no identities", "many"],
)
def test_a_policy_that_is_none_of_ours_revokes_nobody(settled: Universe, forged: dict[str, object]) -> None:
    document = json.dumps({**policy(settled), "clients": forged}).encode()
    settled.secret(SERVER)["data"]["policy.json"] = base64.b64encode(document).decode()
    assert settled.settle() == [f"Replace Secret {SERVER}"]
    assert "revoked" not in policy(settled)
