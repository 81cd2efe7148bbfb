"""When the authority Secret, or a part of it, is lost: what serves goes on, and trust is built up anew."""

import base64
import json
from datetime import datetime

import pytest
from cryptography import x509

from mtls_operator.api import names
from mtls_operator.pki.authority import is_issued_by

from .trust import (
    AUTHORITY,
    AUTHORITY_REF,
    BILLING,
    MINUTE,
    SERVER,
    annotate,
    certificates,
    leaf,
    policy,
    prepared,
    reasons,
    rotating,
    signing,
    state,
)
from .universe import Universe

ROLES = ("server", "client")


def lose(universe: Universe) -> dict[str, x509.Certificate]:
    """Delete the authority Secret; return what signed."""
    former = {role: signing(universe, role) for role in ROLES}
    del universe.objects[AUTHORITY_REF]
    return former


def garble(universe: Universe, file: str) -> None:
    universe.secret(AUTHORITY)["data"][file] = base64.b64encode(b"?").decode()


def test_a_lost_secret_is_made_anew_while_the_old_leaves_serve_on(served: Universe) -> None:
    leaves = leaf(served, SERVER), leaf(served, BILLING)
    former = lose(served)
    served.settle()
    assert (leaf(served, SERVER), leaf(served, BILLING)) == leaves
    assert former["client"] in certificates(served, SERVER)
    assert former["server"] in certificates(served, BILLING)
    assert len(certificates(served, SERVER)) == len(certificates(served, BILLING)) == 2
    assert served.notices[0].severity == "Warning"
    assert rotating(served)[:2] == ("True", "Prepared")
    assert served.settle() == []


def test_its_successor_signs_when_it_is_trusted(served: Universe) -> None:
    lose(served)
    served.settle()
    served.acknowledge("a")
    served.settle()
    assert not prepared(served, "client")
    assert prepared(served, "server")
    served.after(hours=6).settle()
    assert is_issued_by(leaf(served, BILLING), signing(served, "client"))


def test_a_leaf_that_would_end_is_signed_by_the_successor_with_a_warning(served: Universe) -> None:
    lose(served)
    served.settle()
    served.service["spec"]["replicas"] = 3
    served.answer("a", "stale", frozenset({"other"}))
    served.settle()
    former = leaf(served, BILLING)
    served.now = former.not_valid_after_utc - 6 * MINUTE
    served.settle()
    assert leaf(served, BILLING) == former
    served.now = former.not_valid_after_utc - 4 * MINUTE
    served.settle()
    assert leaf(served, BILLING) != former
    warning = next(notice for notice in served.notices if notice.reason == "AuthorityLost")
    assert warning.severity == "Warning"


def test_nothing_else_is_signed_before_the_successor_is_trusted(served: Universe) -> None:
    lose(served)
    served.settle()
    served.service["spec"]["clients"].append({"name": "audit"})
    annotate(served, reissue="now")
    before = leaf(served, BILLING)
    served.settle()
    assert leaf(served, BILLING) == before
    assert all(ref.name != "orders-client-audit" for ref in served.objects)
    served.acknowledge("a")
    served.settle()
    assert leaf(served, BILLING) != before
    assert is_issued_by(leaf(served, "orders-client-audit"), signing(served, "client"))


@pytest.mark.parametrize("file", ["client.key", "client.crt"])
def test_a_damaged_part_is_the_same_for_that_authority_alone(served: Universe, file: str) -> None:
    former = {role: signing(served, role) for role in ROLES}
    garble(served, file)
    served.settle()
    assert signing(served, "server") == former["server"]
    assert prepared(served, "client")
    assert "client.key" not in served.secret(AUTHORITY)["data"]
    assert former["client"] in certificates(served, SERVER)
    assert "AuthorityPrepared" in reasons(served)


def test_the_rest_of_the_service_is_healed_meanwhile(served: Universe) -> None:
    garble(served, "client.key")
    served.secret(SERVER)["data"]["tls.key"] = base64.b64encode(b"?").decode()
    served.settle()
    assert served.file(SERVER, "tls.key") != b"?"


def test_nobody_but_status_vouches_for_a_certificate(served: Universe) -> None:
    stranger = Universe()
    stranger.settle()
    served.secret(SERVER)["data"]["ca.crt"] = stranger.secret(SERVER)["data"]["ca.crt"]
    lose(served)
    served.settle()
    assert certificates(served, SERVER) == [signing(served, "client")]


def test_where_nothing_is_known_the_service_starts_anew(served: Universe) -> None:
    former = lose(served)
    del served.service["status"]
    served.settle()
    assert certificates(served, SERVER) == [signing(served, "client")] != [former["client"]]
    assert is_issued_by(leaf(served, BILLING), signing(served, "client"))
    assert served.settle() == []


def test_a_backup_restored_under_a_new_uid_starts_anew_and_replays_no_request(served: Universe) -> None:
    annotate(served, rotate_authority="distrust/old", reissue="revoke/old")
    served.service["metadata"]["uid"] = "uid-2"
    del served.service["status"]
    served.pods.clear()
    served.settle()
    assert "revoked" not in policy(served)
    assert all(notice.reason != "AuthorityDistrusted" for notice in served.notices)
    assert "authority-uid-2" in {ref.name for ref in served.objects}
    assert served.settle() == []


def test_the_ledger_is_read_back_from_the_server(served: Universe) -> None:
    annotate(served, reissue="revoke/leak")
    served.settle()
    revoked = policy(served)["revoked"]
    lose(served)
    served.settle()
    assert policy(served)["revoked"] == revoked


def test_a_ledger_that_was_tampered_with_locks_nobody_out_for_good(served: Universe) -> None:
    uri = "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing"
    tampered = {
        **policy(served),
        "revoked": {uri: "9999-12-31T23:59:59Z", "x" * 300_000: "2026-01-01T00:00:00Z"},
    }
    served.secret(SERVER)["data"]["policy.json"] = base64.b64encode(json.dumps(tampered).encode()).decode()
    lose(served)
    served.settle()
    [(known, moment)] = policy(served)["revoked"].items()
    assert known == uri
    assert datetime.fromisoformat(moment) <= served.now + 5 * MINUTE


def test_a_secret_of_before_there_was_state_is_read_as_nothing_prepared(served: Universe) -> None:
    del served.secret(AUTHORITY)["data"]["state.json"]
    authorities = {role: signing(served, role) for role in ROLES}
    annotate(served, rotate_authority="long ago", reissue="long ago")
    for secret in (SERVER, BILLING):
        served.secret(secret)["metadata"]["annotations"][names.ANNOTATION_REISSUE] = "long ago"
    assert served.settle() == [f"Replace Secret {AUTHORITY}"]
    assert {role: signing(served, role) for role in ROLES} == authorities
    assert state(served)["client"]["longest"] == 24 * 3600
    assert not prepared(served, "client")


def test_a_secret_of_a_later_version_is_left_alone_and_told(served: Universe) -> None:
    served.secret(AUTHORITY)["data"]["state.json"] = base64.b64encode(b'{"version": 2, "new": 1}').decode()
    assert served.settle() == []
    [problem] = served.problems
    assert problem.reason == "AuthorityInvalid"
    assert "upgrade" in problem.message


def test_garbled_state_forgets_no_certificate_and_no_revocation(served: Universe) -> None:
    annotate(served, reissue="revoke/leak", rotate_authority="2026")
    served.settle()
    served.acknowledge("a")
    served.settle()
    bundle, revoked = set(certificates(served, SERVER)), policy(served)["revoked"]
    garble(served, "state.json")
    served.settle()
    assert set(certificates(served, SERVER)) == bundle
    assert policy(served)["revoked"] == revoked
