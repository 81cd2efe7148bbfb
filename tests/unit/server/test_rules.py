"""Whom certificates stand for: by source and name, denials first, then the first rule that matches."""

import pytest
from cryptography import x509

from mtls_server.authorization.rules import Matcher, Rules
from mtls_server.contract import Rule
from mtls_server.identity import Identity, parse
from tests.unit.server import pki
from tests.unit.server.conftest import World

SPIFFE_ID = "spiffe://partner.example/ns/shop/sa/billing"
CALLER = parse(
    pki.leaf(
        World().client_authority,
        subject=pki.name("billing"),
        names=[
            x509.UniformResourceIdentifier(SPIFFE_ID),
            x509.DNSName("Billing.partner.example"),
            x509.DNSName("*.wild.example"),
        ],
    ).der
)
FINGERPRINT = CALLER.fingerprint_sha256.replace(":", "").lower()


def first(matcher: Matcher, source: str = "partner") -> int | None:
    found = matcher.first(CALLER, source)
    return found and found.number


def granting(*rules: Rule) -> Matcher:
    return Rules.compile(rules).granting


@pytest.mark.parametrize(
    "rule",
    [
        Rule(source="partner", spiffe_id=SPIFFE_ID),
        Rule(source="partner", spiffe_id="spiffe://partner.example/ns/*/sa/billing"),
        Rule(source="partner", spiffe_id="spiffe://partner.example/*/*/*/*"),
        Rule(source="partner", uri=SPIFFE_ID),
        Rule(source="partner", dns="billing.partner.example"),
        Rule(source="partner", cn="billing"),
        Rule(source="partner", fingerprint=FINGERPRINT),
    ],
)
def test_a_rule_matches_by_any_one_name_and_by_source(rule: Rule) -> None:
    assert first(granting(rule)) == 0
    assert first(granting(rule), "own") is None


@pytest.mark.parametrize(
    "rule",
    [
        Rule(source="partner", spiffe_id="spiffe://partner.example/ns/*/billing"),
        Rule(source="partner", spiffe_id="spiffe://partner.example/*"),
        Rule(source="partner", spiffe_id="spiffe://partner-example/ns/shop/sa/billing"),
        Rule(source="partner", uri="spiffe://partner.example/ns/*/sa/billing"),
        Rule(source="partner", dns="a.wild.example"),
        Rule(source="partner", dns="partner.example"),
        Rule(source="partner", cn="Billing"),
        Rule(source="partner", cn=SPIFFE_ID),
        Rule(source="partner", fingerprint=FINGERPRINT[::-1]),
    ],
)
def test_a_rule_about_somebody_else_does_not_match(rule: Rule) -> None:
    assert first(granting(rule)) is None


def test_the_first_rule_that_matches_decides_exact_or_not() -> None:
    exact = Rule(source="partner", cn="billing")
    wild = Rule(source="partner", spiffe_id="spiffe://partner.example/ns/*/sa/*")
    other = Rule(source="partner", cn="audit")
    assert first(granting(other, exact, wild, exact)) == 1
    assert first(granting(other, wild, exact, wild)) == 1


def test_rules_that_deny_are_asked_apart() -> None:
    rules = Rules.compile(
        [Rule(source="partner", cn="billing"), Rule(source="partner", cn="billing", deny=True)]
    )
    assert (first(rules.granting), first(rules.denying)) == (0, 1)


def test_nothing_of_a_bare_certificate_matches() -> None:
    bare = bare_identity()
    assert granting(Rule(cn="billing")).first(bare, "own") is None


def bare_identity() -> Identity:
    return parse(pki.leaf(World().client_authority, subject=pki.name()).der)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (Rule(), r"rules\[0\]: write exactly one of"),
        (Rule(cn="a", dns="a"), "write exactly one of"),
        (Rule(spiffe_id="spiffe://*/ns"), "write a SPIFFE id in which"),
        (Rule(spiffe_id="spiffe://a/b*"), "write a SPIFFE id in which"),
        (Rule(spiffe_id="spiffe://a/../b"), "write a SPIFFE id in which"),
        (Rule(spiffe_id="spiffe://a/.."), "write a SPIFFE id in which"),
        (Rule(spiffe_id="spiffe://a"), "write a SPIFFE id in which"),
        (Rule(spiffe_id="https://a/b"), "write a SPIFFE id in which"),
        (Rule(dns="Billing"), "in lower case and without"),
        (Rule(dns="*.example"), "in lower case and without"),
        (Rule(fingerprint="AB" * 32), "64 hex digits in lower case"),
        (Rule(fingerprint="ab"), "64 hex digits in lower case"),
    ],
)
def test_a_rule_that_cannot_mean_what_it_says_is_refused(rule: Rule, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Rules.compile([rule])
