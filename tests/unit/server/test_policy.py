"""Who is served, and as whom: an identity and a source go in, a verdict comes out."""

from datetime import datetime, timedelta, timezone

import msgspec
import pytest

from mtls_server.authorization.policy import Authorisation
from mtls_server.contract import OWN_SOURCE, Policy, Rule, decode_policy, encode_policy
from mtls_server.identity import Identity, Reason, RefusedError, parse
from tests.unit.server import pki
from tests.unit.server.conftest import World


def granting(world: World, **changes: object) -> Policy:
    return msgspec.structs.replace(pki.policy(world.client_authority), **changes)


def billing(world: World, not_before: datetime = pki.NOW - timedelta(minutes=1)) -> Identity:
    return parse(pki.client(world.client_authority, not_before=not_before).der)


def refusal(policy: Policy, identity: Identity, source: str = OWN_SOURCE) -> Reason:
    with pytest.raises(RefusedError) as caught:
        Authorisation.compile(policy).authorise(identity, source)
    return caught.value.refusal.reason


def granted(policy: Policy, identity: Identity, source: str = OWN_SOURCE) -> Identity:
    return Authorisation.compile(policy).authorise(identity, source).identity


def test_a_certificate_that_began_before_the_revocation_is_refused(world: World) -> None:
    policy = granting(world, revoked={pki.BILLING_URI: pki.NOW})
    assert refusal(policy, billing(world, not_before=pki.NOW - timedelta(seconds=1))) is Reason.REVOKED


def test_a_certificate_that_began_at_the_revocation_or_later_is_served(world: World) -> None:
    policy = granting(world, revoked={pki.BILLING_URI: pki.NOW})
    assert granted(policy, billing(world, not_before=pki.NOW)).client == "billing"


def test_a_revocation_outlives_the_client(world: World) -> None:
    policy = granting(world, clients={}, revoked={pki.BILLING_URI: pki.NOW})
    assert refusal(policy, billing(world)) is Reason.REVOKED


def test_a_revocation_concerns_our_own_authority_only(world: World) -> None:
    policy = granting(world, revoked={pki.BILLING_URI: pki.NOW})
    assert refusal(policy, billing(world), "partner") is Reason.UNKNOWN_CLIENT


def test_the_moment_is_read_in_its_time_zone(world: World) -> None:
    east = timezone(timedelta(hours=2))
    policy = granting(world, revoked={pki.BILLING_URI: pki.NOW.astimezone(east)})
    with pytest.raises(RefusedError, match=f"{pki.NOW:%FT%TZ}"):
        granted(decode_policy(encode_policy(policy)), billing(world))


def test_a_moment_without_time_zone_is_no_policy(world: World) -> None:
    document = encode_policy(granting(world, revoked={pki.BILLING_URI: datetime(2026, 1, 1)}))  # noqa: DTZ001
    with pytest.raises(ValueError, match="revoked"):
        decode_policy(document)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_that_utc_does_not_know_is_no_policy(world: World, moment: str) -> None:
    policy = granting(world, revoked={pki.BILLING_URI: datetime.fromisoformat(moment)})
    with pytest.raises(ValueError, match="revoked lists a time"):
        decode_policy(encode_policy(policy))


def denying(**name: str) -> Rule:
    return Rule(deny=True, **name)  # type: ignore[arg-type]


def test_a_client_is_granted_what_its_entry_says(world: World) -> None:
    identity = granted(granting(world), billing(world))
    assert (identity.client, identity.source) == ("billing", "own")
    assert (identity.roles, identity.tenant) == (("reader",), "acme")


def test_a_caller_that_is_no_client_is_granted_what_a_rule_says(world: World) -> None:
    policy = granting(world, rules=(Rule("partner", cn="billing", roles=("guest",), tenant="partner"),))
    identity = granted(policy, billing(world), "partner")
    assert (identity.client, identity.source) == (None, "partner")
    assert (identity.roles, identity.tenant) == (("guest",), "partner")


def test_the_entry_of_a_client_comes_before_a_rule(world: World) -> None:
    policy = granting(world, rules=(Rule(cn="billing", roles=("guest",)),))
    assert granted(policy, billing(world)).roles == ("reader",)


def test_a_denial_wins_over_the_entry_of_a_client_and_over_rules(world: World) -> None:
    policy = granting(world, rules=(Rule("partner", cn="billing"), denying(cn="billing")))
    assert refusal(policy, billing(world)) is Reason.DENIED
    assert granted(policy, billing(world), "partner").source == "partner"


def test_no_rule_lets_a_revoked_caller_in(world: World) -> None:
    policy = granting(world, clients={}, revoked={pki.BILLING_URI: pki.NOW}, rules=(Rule(cn="billing"),))
    assert refusal(policy, billing(world)) is Reason.REVOKED


def test_a_foreign_authority_that_mints_our_callers_names_is_nobody(world: World) -> None:
    partner = pki.authority("client authority")
    policy = granting(
        world,
        sources={"own": (world.client_authority.spki,), "partner": (partner.spki,)},
        rules=(Rule(cn="billing"), Rule(uri=pki.BILLING_URI)),
    )
    impostor = parse(pki.client(partner).der)
    ours = billing(world)
    assert (impostor.uri, impostor.subject, impostor.issuer) == (ours.uri, ours.subject, ours.issuer)
    source = Authorisation.compile(policy).source_of([partner.der])
    assert refusal(policy, impostor, source) is Reason.UNKNOWN_CLIENT


def test_each_decision_says_which_part_of_the_policy_made_it(world: World) -> None:
    rules = Rule("partner", cn="nobody"), Rule("partner", cn="billing"), denying(cn="billing", source="other")
    policy = Authorisation.compile(granting(world, rules=rules))
    assert policy.authorise(billing(world), "own").by == "clients"
    assert policy.authorise(billing(world), "partner").by == "rules[1]"
    for source, by in (("other", "rules[2]"), ("stranger", "default")):
        with pytest.raises(RefusedError) as caught:
            policy.authorise(billing(world), source)
        assert caught.value.refusal.by == by
