"""Given generations and what is asked of an authority, expect this reason for a successor, or this wait."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mtls_operator.pki.authority import Authority
from mtls_operator.pki.generations import Generations, Retiring
from mtls_operator.policies.rotation import (
    MAX_RETIRING,
    AuthorityWish,
    Gate,
    PodTrust,
    deadline,
    evaluate,
    is_same_trust,
    restart_time,
    rotation_due,
    waiting_for,
)
from tests.unit.pki.samples import DAY, HOUR, MINUTE, MONTH, NOW, RSA, authority, signed_by

SIGNING = authority("server")
OTHER = authority("server")
GENERATIONS = Generations("server", SIGNING, longest=DAY, since=NOW)
WISH = AuthorityWish(
    duration=MONTH,
    foreign=None,
    foreign_wanted=False,
    request="",
    requested=False,
    distrust=False,
    longest=DAY,
    propagation=DAY,
    uid="uid",
    now=NOW,
)
RETIRING = Retiring("server", (OTHER.certificate,), NOW + DAY)


def reason(generations: Generations, wish: AuthorityWish) -> str | None:
    cause = evaluate(generations, wish)
    return cause.reason if cause else None


def test_an_authority_that_is_as_wanted_needs_no_successor() -> None:
    assert reason(GENERATIONS, WISH) is None


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (replace(WISH, requested=True), "Requested"),
        (replace(WISH, duration=2 * MONTH), "ProfileChanged"),
        (replace(WISH, foreign=OTHER, foreign_wanted=True), "SourceChanged"),
        (replace(WISH, now=NOW + 21 * DAY), "Age"),
        (replace(WISH, now=NOW + 21 * DAY, requested=True, duration=2 * MONTH), "ProfileChanged"),
    ],
)
def test_each_reason_is_told_in_its_order(wish: AuthorityWish, expected: str) -> None:
    assert reason(GENERATIONS, wish) == expected


def test_a_lost_key_comes_before_everything() -> None:
    assert reason(replace(GENERATIONS, signing=None), replace(WISH, requested=True)) == "Lost"


@pytest.mark.parametrize(
    "generations",
    [
        replace(GENERATIONS, next=OTHER, prepared_at=NOW),
        replace(GENERATIONS, retiring=(RETIRING,) * MAX_RETIRING),
    ],
    ids=["one is prepared", "too many are still trusted"],
)
def test_a_further_successor_waits(generations: Generations) -> None:
    assert reason(generations, replace(WISH, requested=True)) is None


def test_a_lost_key_is_replaced_however_many_are_still_trusted() -> None:
    lost = replace(GENERATIONS, signing=None, retiring=(RETIRING,) * MAX_RETIRING)
    assert reason(lost, WISH) == "Lost"


def test_an_unusable_ca_of_the_users_own_changes_nothing() -> None:
    unusable = replace(WISH, foreign_wanted=True, now=NOW + 25 * DAY)
    assert reason(GENERATIONS, unusable) is None
    assert reason(replace(GENERATIONS, signing=None), unusable) is None


def test_a_ca_of_the_users_own_neither_ages_nor_changes_with_our_defaults() -> None:
    foreign = replace(GENERATIONS, foreign=frozenset({SIGNING.key_id}))
    given = replace(WISH, foreign=SIGNING, foreign_wanted=True, duration=HOUR, now=NOW + 29 * DAY)
    assert reason(foreign, given) is None


def test_taking_it_out_of_the_spec_makes_one_of_ours() -> None:
    assert reason(replace(GENERATIONS, foreign=frozenset({SIGNING.key_id})), WISH) == "SourceChanged"


def _reissued(root: Authority, below: Authority) -> Authority:
    return Authority("server", signed_by(root, below), below.key, (root.certificate,))


def test_new_certificates_of_the_same_keys_and_names_are_the_same_trust() -> None:
    root, below = authority(duration=2 * MONTH), authority()
    assert is_same_trust(_reissued(root, below), _reissued(root, below))


def test_another_root_is_another_trust_although_the_key_stays() -> None:
    below = authority()
    assert not is_same_trust(_reissued(authority(), below), _reissued(authority(), below))


def test_an_earlier_end_is_another_trust_since_leaves_would_outlive_it() -> None:
    below = authority()
    long, short = authority(duration=MONTH), authority(duration=DAY)
    assert not is_same_trust(
        replace(below, issuers=(long.certificate,)), replace(below, issuers=(short.certificate,))
    )


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    ("life", "longest", "propagation"),
    [
        (MONTH, DAY, DAY),
        (8 * DAY, DAY, DAY),
        (80 * MINUTE, 10 * MINUTE, 10 * MINUTE),
        (8 * MINUTE, MINUTE, 2 * MINUTE),
        (12 * HOUR, 2 * HOUR, HOUR),
    ],
)
def test_age_leaves_time_for_the_gate_before_the_deadline(
    role: str, life: timedelta, longest: timedelta, propagation: timedelta
) -> None:
    signing = authority("server" if role == "server" else "client", duration=life)
    generations = Generations(signing.role, signing, longest=longest, since=NOW)
    wish = replace(WISH, duration=life, longest=longest, propagation=propagation)
    ends = deadline(generations)
    assert ends is not None
    assert NOW <= rotation_due(signing, generations, wish) <= ends - propagation


def test_an_authority_too_short_for_its_leaves_is_not_rotated_at_once() -> None:
    signing = authority(duration=HOUR)
    generations = Generations("server", signing, longest=DAY, since=NOW)
    due = rotation_due(signing, generations, replace(WISH, duration=HOUR))
    assert NOW + HOUR / 8 < due < NOW + HOUR / 4


def test_the_deadline_is_twice_the_longest_leaf_before_the_end() -> None:
    assert deadline(GENERATIONS) == SIGNING.not_after - 2 * DAY


def test_where_a_key_is_lost_it_is_the_end_of_all_its_leaves() -> None:
    assert deadline(replace(GENERATIONS, signing=None, retiring=(RETIRING,))) == NOW + DAY


TRUSTING = PodTrust("a", trusts=True)
STALE = PodTrust("b", trusts=False, detail="b still serves generation 41", since=NOW)
SILENT = PodTrust("c", trusts=False, unreachable=True, detail="c: pod did not answer within 2 s")


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (Gate(None, lacking="1 of 3 bundles"), "1 of 3 bundles"),
        (Gate(NOW), "callers have 24h to pick it up"),
        (Gate(NOW, pods=(), expects_pods=True), "no pods yet"),
        (Gate(NOW, pods=(TRUSTING, STALE)), "1/2 pods; b still serves generation 41"),
        (Gate(NOW, pods=(TRUSTING, SILENT)), "1/2 pods; c: pod did not answer within 2 s"),
        (Gate(NOW, pods=(STALE,) * 5), "and 2 more"),
    ],
)
def test_it_is_said_what_is_waited_for(gate: Gate, message: str) -> None:
    waiting = waiting_for(gate, DAY, NOW + HOUR)
    assert waiting is not None
    assert message in waiting.message


@pytest.mark.parametrize(
    ("gate", "later"),
    [
        (Gate(NOW), DAY),
        (Gate(NOW, pods=()), timedelta()),
        (Gate(NOW, pods=(TRUSTING,), expects_pods=True), timedelta()),
        (Gate(NOW, pods=(TRUSTING, SILENT)), DAY),
    ],
    ids=["callers had their time", "no pods are wanted", "every pod trusts it", "who is silent had its time"],
)
def test_the_gate_opens(gate: Gate, later: timedelta) -> None:
    assert waiting_for(gate, DAY, NOW + later) is None


def test_a_pod_that_fell_silent_has_its_time_from_when_it_last_said_that_it_lags() -> None:
    gate = Gate(NOW, pods=(TRUSTING, replace(SILENT, stale_at=NOW + 3 * DAY)))
    assert waiting_for(gate, DAY, NOW + 4 * DAY - MINUTE) is not None
    assert waiting_for(gate, DAY, NOW + 4 * DAY) is None


def test_no_time_opens_the_gate_for_a_pod_that_answers_otherwise() -> None:
    assert waiting_for(Gate(NOW, pods=(STALE,)), DAY, NOW + 100 * DAY) is not None


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (NOW + DAY, NOW + 5 * MINUTE),
        (NOW + 4 * MINUTE, NOW + 2 * MINUTE),
        (NOW - DAY, NOW),
        (None, NOW + 5 * MINUTE),
    ],
)
def test_a_stale_pod_is_replaced_after_five_minutes_or_half_of_the_time_left(
    ends: datetime | None, expected: datetime
) -> None:
    assert restart_time(NOW, ends) == expected


def test_the_kind_of_key_plays_no_role_for_trust() -> None:
    assert is_same_trust(rsa := authority(key=RSA), rsa)
