"""Who is served, and as whom: an identity and a source go in, a verdict comes out."""

from datetime import datetime, timedelta, timezone

import msgspec
import pytest

from mtls_server.contract import OWN_SOURCE, Policy, decode_policy, encode_policy
from mtls_server.identity import Identity, Reason, RefusedError, parse
from mtls_server.policy import authorise
from tests.unit.server import pki
from tests.unit.server.conftest import World


def granting(world: World, **changes: object) -> Policy:
    return msgspec.structs.replace(pki.policy(world.client_authority), **changes)


def billing(world: World, not_before: datetime = pki.NOW - timedelta(minutes=1)) -> Identity:
    return parse(pki.client(world.client_authority, not_before=not_before).der)


def refusal(policy: Policy, identity: Identity, source: str = OWN_SOURCE) -> Reason:
    with pytest.raises(RefusedError) as caught:
        authorise(policy, identity, source)
    return caught.value.refusal.reason


def test_a_certificate_that_began_before_the_revocation_is_refused(world: World) -> None:
    policy = granting(world, revoked={pki.BILLING_URI: pki.NOW})
    assert refusal(policy, billing(world, not_before=pki.NOW - timedelta(seconds=1))) is Reason.REVOKED


def test_a_certificate_that_began_at_the_revocation_or_later_is_served(world: World) -> None:
    policy = granting(world, revoked={pki.BILLING_URI: pki.NOW})
    assert authorise(policy, billing(world, not_before=pki.NOW), OWN_SOURCE).client == "billing"


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
        authorise(decode_policy(encode_policy(policy)), billing(world), OWN_SOURCE)


def test_a_moment_without_time_zone_is_no_policy(world: World) -> None:
    document = encode_policy(granting(world, revoked={pki.BILLING_URI: datetime(2026, 1, 1)}))  # noqa: DTZ001
    with pytest.raises(ValueError, match="revoked"):
        decode_policy(document)
