"""Whom a new generation concerns, and what it decides about them."""

import msgspec
import pytest

from mtls_server.changes import between, keys
from mtls_server.contract import Client, Policy, Route, Rule
from mtls_server.files.context import TlsSettings
from mtls_server.files.material import Generation, Peer, build
from mtls_server.identity import Reason
from tests.unit.server import pki
from tests.unit.server.conftest import World

AUDIT_URI = pki.BILLING_URI.replace("billing", "audit")


def generation(world: World, *others: pki.Issued, **changes: object) -> Generation:
    policy = msgspec.structs.replace(pki.policy(world.client_authority), **changes)
    served = pki.server(world.server_authority)
    return build(
        pki.files(served, world.client_authority, *others, granted=policy), 1, TlsSettings(), pki.at()
    )


def trusting(world: World, *anchors: pki.Issued, policy: Policy | None = None) -> Generation:
    granted = policy or pki.policy(world.client_authority)
    files = pki.files(pki.server(world.server_authority), *anchors, granted=granted)
    return build(files, 1, TlsSettings(), pki.at())


def connected(world: World, caller: pki.Issued, *issuers: pki.Issued) -> Peer:
    chain = [caller.der, *(one.der for one in issuers or (world.client_authority,))]
    return generation(world).judge(caller.der, chain)


def outcome(peer: Peer) -> Reason | str | None:
    return peer.refusal.reason if peer.refusal else peer.identity.client if peer.identity else None


def test_a_renewal_of_the_server_certificate_concerns_nobody(world: World) -> None:
    assert between(generation(world), generation(world)) == set()


def test_a_change_of_one_client_concerns_that_client(world: World) -> None:
    clients = pki.policy(world.client_authority).clients
    old = generation(world)
    assert between(old, generation(world, clients={})) == {pki.BILLING_URI}
    assert between(old, generation(world, clients={**clients, AUDIT_URI: Client("audit")})) == {AUDIT_URI}
    assert between(old, generation(world, revoked={AUDIT_URI: pki.NOW})) == {AUDIT_URI}


def test_a_new_anchor_concerns_its_own_callers(world: World) -> None:
    fresh = pki.authority("next")
    assert between(
        trusting(world, world.client_authority), trusting(world, world.client_authority, fresh)
    ) == {fresh.spki}


def test_a_public_key_that_changes_source_concerns_whom_it_vouches_for(world: World) -> None:
    partner = pki.authority("partner")
    old = generation(world, partner, sources={"own": (world.client_authority.spki,), "p": (partner.spki,)})
    new = generation(world, partner, sources={"own": (world.client_authority.spki,), "q": (partner.spki,)})
    assert between(old, new) == {partner.spki}


def test_a_peer_is_found_by_its_uri_its_fingerprint_and_each_authority_above_it(world: World) -> None:
    intermediate = pki.authority("intermediate", issuer=world.client_authority, path_length=0)
    peer = connected(world, pki.client(intermediate), intermediate, world.client_authority)
    assert peer.identity is not None
    fingerprint = peer.identity.fingerprint_sha256
    assert keys(peer) == {pki.BILLING_URI, fingerprint, intermediate.spki, world.client_authority.spki}


def by_rules(world: World, *rules: Rule) -> Generation:
    sources = {"own": (world.client_authority.spki,), "partner": ("ab" * 32,)}
    return generation(world, rules=rules, sources=sources)


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (Rule(uri=AUDIT_URI), AUDIT_URI),
        (Rule(spiffe_id=AUDIT_URI), AUDIT_URI),
        (Rule(fingerprint="0f" * 32), ":".join(["0F"] * 32)),
        (Rule("partner", spiffe_id="spiffe://a/*"), "ab" * 32),
        (Rule("partner", cn="audit"), "ab" * 32),
        (Rule("partner", dns="audit.example"), "ab" * 32),
    ],
)
def test_a_rule_concerns_whom_it_names_exactly_else_all_of_its_source(
    world: World, rule: Rule, key: str
) -> None:
    before, behind = Rule(cn="before"), Rule(cn="behind")
    old, new = by_rules(world, before, behind), by_rules(world, before, rule, behind)
    assert between(old, new) == between(new, old) == {key}


def test_rules_that_change_places_are_changed_rules(world: World) -> None:
    one, other = Rule(uri="https://one"), Rule(uri="https://other")
    assert between(by_rules(world, one, other), by_rules(world, other, one)) == {
        "https://one",
        "https://other",
    }


def test_routes_concern_everybody(world: World) -> None:
    assert between(generation(world), generation(world, routes=(Route("/"),))) == {
        world.client_authority.spki
    }


def test_who_is_judged_as_before_stays_the_very_peer(world: World) -> None:
    peer = connected(world, pki.client(world.client_authority))
    assert generation(world).judge_again(peer) is peer


def test_who_is_judged_otherwise_keeps_what_the_connection_showed(world: World) -> None:
    peer = connected(world, pki.client(world.client_authority))
    again = generation(world, clients={pki.BILLING_URI: Client("billing", ("writer",))}).judge_again(peer)
    assert again.identity is not None
    assert (again.identity.roles, again.identity.tenant) == (("writer",), None)
    assert (again.server_certificate, again.chain) == (peer.server_certificate, peer.chain)


def test_who_is_listed_no_more_loses_permission(world: World) -> None:
    peer = connected(world, pki.client(world.client_authority))
    assert outcome(generation(world, clients={}).judge_again(peer)) is Reason.UNKNOWN_CLIENT


def test_without_its_anchor_a_peer_is_distrusted(world: World) -> None:
    peer = connected(world, pki.client(world.client_authority))
    assert outcome(trusting(world, pki.authority("next")).judge_again(peer)) is Reason.DISTRUSTED


def test_an_anchor_of_the_same_name_with_another_key_does_not_vouch(world: World) -> None:
    peer = connected(world, pki.client(world.client_authority))
    impostor = pki.authority("client authority")
    assert outcome(trusting(world, impostor).judge_again(peer)) is Reason.DISTRUSTED


def test_an_anchor_that_was_issued_anew_with_its_key_still_vouches(world: World) -> None:
    peer = connected(world, pki.client(world.client_authority))
    anew = pki.authority("client authority", key=world.client_authority.key)
    assert trusting(world, anew).judge_again(peer) is peer


def test_an_intermediate_that_becomes_the_anchor_still_vouches(world: World) -> None:
    intermediate = pki.authority("intermediate", issuer=world.client_authority, path_length=0)
    peer = connected(world, pki.client(intermediate), intermediate, world.client_authority)
    policy = msgspec.structs.replace(
        pki.policy(world.client_authority), sources={"own": (intermediate.spki,)}
    )
    assert outcome(trusting(world, intermediate, policy=policy).judge_again(peer)) == "billing"


def test_an_authority_above_the_anchor_of_today_vouches_no_more(world: World) -> None:
    intermediate = pki.authority("intermediate", issuer=world.client_authority, path_length=0)
    peer = connected(world, pki.client(intermediate), intermediate, world.client_authority)
    assert outcome(trusting(world, intermediate).judge_again(peer)) is Reason.UNKNOWN_SOURCE


def test_who_is_refused_stays_refused_until_it_connects_anew(world: World) -> None:
    stranger = connected(world, pki.client(world.client_authority, uri=AUDIT_URI))
    welcome = generation(world, clients={AUDIT_URI: Client("audit")})
    assert welcome.judge_again(stranger) is stranger
