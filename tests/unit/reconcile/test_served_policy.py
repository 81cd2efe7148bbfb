"""Given a spec that is too large for a Secret, expect the last good policy, and a sentence."""

from typing import Any

import pytest

from mtls_operator.reconcile.decide.served_policy import POLICY_TOO_LARGE, served_policy
from mtls_server.contract import POLICY_VERSION, Client, Policy, Route, Rule, decode_policy

from .universe import Universe

ROLES = tuple(f"{number:02}".ljust(63, "r") for number in range(16))
TOO_LARGE = {"rules": [{"dns": f"{number}.example.org", "roles": ROLES} for number in range(500)]}
BILLING = {"name": "billing", "roles": ["reader"]}
SHIPPING = {"name": "shipping"}


def served(universe: Universe) -> Policy:
    return decode_policy(universe.file("orders-server", "policy.json"))


def ask_for(universe: Universe, **spec: Any) -> None:
    universe.service = {**universe.service, "spec": spec}
    universe.settle()


def names_in(policy: Policy) -> list[str]:
    return sorted(client.name for client in policy.clients.values())


def test_a_service_that_becomes_too_large_keeps_its_last_good_policy(universe: Universe) -> None:
    universe.settle()
    good = served(universe)

    ask_for(universe, clients=[BILLING, SHIPPING], authorization=TOO_LARGE)

    assert served(universe) == good
    assert [problem.reason for problem in universe.problems] == [POLICY_TOO_LARGE]


def test_it_is_followed_when_it_has_become_shorter(universe: Universe) -> None:
    universe.settle()
    ask_for(universe, clients=[BILLING, SHIPPING], authorization=TOO_LARGE)

    ask_for(universe, clients=[BILLING, SHIPPING])

    assert names_in(served(universe)) == ["billing", "shipping"]
    assert universe.problems == ()


def test_who_is_removed_meanwhile_is_revoked_all_the_same(universe: Universe) -> None:
    universe.settle()
    (uri,) = served(universe).clients

    ask_for(universe, clients=[SHIPPING], authorization=TOO_LARGE)

    assert names_in(served(universe)) == []
    assert list(served(universe).revoked) == [uri]


def test_a_service_that_begins_too_large_serves_nobody(universe: Universe) -> None:
    ask_for(universe, clients=[BILLING], authorization=TOO_LARGE)

    assert names_in(served(universe)) == []
    assert [problem.reason for problem in universe.problems] == [POLICY_TOO_LARGE]


@pytest.mark.parametrize(
    ("parts", "size", "remedy"),
    [
        (
            {"clients": {f"spiffe://{number}": Client("billing", ROLES) for number in range(500)}},
            "538 KiB",
            "give clients fewer or shorter roles, or admit fewer of them",
        ),
        (
            {"rules": (Rule(cn="billing", roles=ROLES),) * 500},
            "529 KiB",
            "write fewer authorization.rules, with fewer or shorter roles",
        ),
        (
            {"routes": (Route("/" + "p" * 2047),) * 256},
            "516 KiB",
            "write fewer authorization.routes, with shorter paths or roles",
        ),
    ],
)
def test_the_sentence_says_how_large_it_is_and_what_to_shorten(
    universe: Universe, parts: dict[str, Any], size: str, remedy: str
) -> None:
    policy = Policy(POLICY_VERSION, ("orders",), {}, **parts)

    problem = served_policy(universe.world(), policy).problem

    assert problem is not None
    assert problem.message == f"clients, rules and routes are {size} and must be at most 448 KiB: {remedy}"
