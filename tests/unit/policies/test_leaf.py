"""Given a stored leaf and what is wanted of it, expect this reason to re-issue it, or none."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from mtls_operator.pki.authority import Authority
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.keys import KeyProfile, encode_key, generate_key, signing_hash
from mtls_operator.pki.leaf import Leaf, client_profile, issue_leaf, server_profile
from mtls_operator.pki.renewal import renewal_time, succession_time
from mtls_operator.policies.leaf import CHECKS, LeafInput, StoredLeaf, Violation, evaluate, expired
from tests.unit.pki.samples import (
    BILLING_URI,
    DAY,
    ECDSA,
    ED25519,
    ENTROPY,
    HOUR,
    MINUTE,
    MONTH,
    NOW,
    RSA,
    SECOND,
    SERVER_NAMES,
    authority,
    leaf,
    profile,
)

UID = "7f4a9a4c-6a5e-4f0c-9d55-2f1f6f0c3c11"
ISSUER = authority("server")
ISSUED = leaf(ISSUER)


def stored(issued: Leaf = ISSUED, duration: str | None = "86400", requested: str = "") -> StoredLeaf:
    return StoredLeaf(encode_bundle([issued.certificate]), encode_key(issued.key), duration, requested)


GOOD = LeafInput(
    stored=stored(),
    profile=profile("server"),
    authority=ISSUER,
    duration=DAY,
    renew_before=12 * HOUR,
    requested="",
    uid=UID,
    now=NOW,
)
DUE = renewal_time(ISSUED.certificate, DAY, 12 * HOUR, UID)
EXPIRY = ISSUED.certificate.not_valid_after_utc


def verdict(leaf_input: LeafInput) -> Violation:
    violation = evaluate(leaf_input)
    assert violation is not None
    return violation


def test_a_leaf_that_is_as_wanted_is_left_alone() -> None:
    assert evaluate(GOOD) is None


def test_no_certificate_is_missing() -> None:
    assert verdict(replace(GOOD, stored=None)) == Violation("Missing", "There is no certificate yet.")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda whole: replace(whole, certificate_pem=b""),
            "tls.crt: there is no certificate; store one in PEM, beginning with BEGIN CERTIFICATE",
        ),
        (
            lambda whole: replace(whole, certificate_pem=whole.certificate_pem[:-60]),
            "tls.crt: there is a CERTIFICATE block that can not be read as an X.509 certificate",
        ),
        (
            lambda whole: replace(whole, certificate_pem=whole.certificate_pem * 9),
            "tls.crt: there are 9 certificates; at most 8 are read",
        ),
        (
            lambda whole: replace(whole, certificate_pem=whole.key_pem),
            "tls.crt: there is something else than certificates; leave only the CERTIFICATE blocks",
        ),
        (
            lambda whole: replace(whole, key_pem=b""),
            "tls.key: there is no readable private key; store one in PEM, best as PKCS#8",
        ),
        (
            lambda whole: replace(whole, key_pem=whole.key_pem[:-60]),
            "tls.key: there is no readable private key; store one in PEM, best as PKCS#8",
        ),
    ],
    ids=["no certificate", "cut", "too many", "key as certificate", "no key", "key cut"],
)
def test_what_can_not_be_read_is_malformed(damage: Callable[[StoredLeaf], StoredLeaf], message: str) -> None:
    expected = Violation("Malformed", f"The stored certificate is damaged: {message}.")
    assert verdict(replace(GOOD, stored=damage(stored()))) == expected


@pytest.mark.parametrize("key", [ECDSA, RSA, ED25519], ids=str)
def test_a_key_that_is_not_the_certificates_is_a_mismatch(key: KeyProfile) -> None:
    other = replace(stored(), key_pem=encode_key(ENTROPY.key(key)))
    expected = Violation("KeyMismatch", "tls.key is not the private key of tls.crt.")
    assert verdict(replace(GOOD, stored=other)) == expected


def test_a_leaf_of_another_generation_has_the_wrong_authority() -> None:
    successor = authority("server")
    message = "The certificate was signed by 'server authority of shop/orders [0-9a-f]{8}'; "
    message += "'server authority of shop/orders [0-9a-f]{8}' signs now."
    violation = verdict(replace(GOOD, authority=successor))
    assert violation.reason == "WrongAuthority"
    assert re.fullmatch(message, violation.message)


def test_a_leaf_of_the_other_role_has_the_wrong_authority() -> None:
    client_leaf = leaf(authority("client"))
    assert verdict(replace(GOOD, stored=stored(client_leaf))).reason == "WrongAuthority"


def _forged(issuer: Authority, *, key_identifier: bool = True) -> Leaf:
    """Claim to be signed by an authority, without having its key."""
    impostor = Authority(issuer.role, issuer.certificate, generate_key(ECDSA))
    if key_identifier:
        return leaf(impostor)
    key = generate_key(ECDSA)
    builder = x509.CertificateBuilder(
        issuer.certificate.subject, x509.Name([]), key.public_key(), 7, NOW, NOW + DAY
    )
    return Leaf(builder.sign(issuer.key, signing_hash(issuer.key)), key)


def test_an_identifier_without_the_signature_is_not_believed() -> None:
    violation = verdict(replace(GOOD, stored=stored(_forged(ISSUER))))
    assert violation.reason == "WrongAuthority"
    assert violation.message.startswith("The certificate does not bear the signature of 'server authority of")


def test_a_signature_without_the_identifier_does_not_suffice() -> None:
    unnamed = _forged(ISSUER, key_identifier=False)
    unnamed.certificate.verify_directly_issued_by(ISSUER.certificate)
    assert verdict(replace(GOOD, stored=stored(unnamed))).reason == "WrongAuthority"


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_an_issuers_long_name_is_cut_in_the_message() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "long\n" * 100, _validate=False)])
    key = generate_key(ECDSA)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + DAY)
    foreign = Leaf(builder.sign(key, signing_hash(key)), key)
    violation = verdict(replace(GOOD, stored=stored(foreign)))
    assert violation.reason == "WrongAuthority"
    assert "\n" not in violation.message
    assert len(violation.message) < 250


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [
        (
            {"profile": server_profile([*SERVER_NAMES, "orders.example"], ["10.96.0.7", "fd00::7"], ECDSA)},
            "names missing: orders.example",
        ),
        (
            {"profile": server_profile(SERVER_NAMES[:2], ["fd00::7"], ECDSA)},
            "names no longer wanted: 10.96.0.7, orders.shop.svc, orders.shop.svc.cluster.local",
        ),
        (
            {
                "profile": server_profile(
                    [*SERVER_NAMES, *(f"n{i}" for i in range(7))], ["10.96.0.7", "fd00::7"], ECDSA
                )
            },
            "names missing: n0, n1, n2, n3, n4 and 2 more",
        ),
        (
            {"profile": replace(profile("server"), common_name="other")},
            "common name 'orders' instead of 'other'",
        ),
        (
            {"profile": replace(profile("server"), role="client")},
            "extended key usage other than client authentication",
        ),
        (
            {"profile": replace(profile("server"), uri=BILLING_URI)},
            f"names missing: {BILLING_URI}",
        ),
        ({"profile": profile("server", RSA)}, "key ECDSA 256 instead of RSA 2048"),
        ({"profile": profile("server", ED25519)}, "key ECDSA 256 instead of Ed25519"),
        ({"duration": 12 * HOUR}, "duration 24h instead of 12h"),
        ({"duration": 90 * MINUTE, "stored": stored(duration=None)}, "duration unknown instead of 1h30m"),
        ({"stored": stored(duration="24h")}, "duration unknown instead of 24h"),
        ({"stored": stored(duration="9" * 1000)}, "duration unknown instead of 24h"),
        (
            {"profile": server_profile(["x"], ["10.96.0.7", "fd00::7"], RSA), "duration": HOUR},
            (
                "common name 'orders' instead of 'x'; names missing: x; names no longer wanted: "
                "orders, orders.shop, orders.shop.svc, orders.shop.svc.cluster.local; "
                "key ECDSA 256 instead of RSA 2048; duration 24h instead of 1h"
            ),
        ),
    ],
    ids=[
        "a name more",
        "names fewer",
        "many names more",
        "common name",
        "role",
        "a URI",
        "RSA",
        "Ed25519",
        "shorter",
        "no record of the duration",
        "odd record of the duration",
        "endless record of the duration",
        "everything",
    ],
)
def test_each_difference_from_the_profile_is_told(wanted: dict[str, object], difference: str) -> None:
    expected = Violation("ProfileChanged", f"The certificate differs from what is wanted: {difference}.")
    assert verdict(replace(GOOD, **wanted)) == expected  # type: ignore[arg-type]


def test_the_order_of_names_does_not_matter() -> None:
    reordered = server_profile(["orders", *reversed(SERVER_NAMES)], ["fd00::7", "10.96.0.7"], ECDSA)
    assert evaluate(replace(GOOD, profile=reordered)) is None


def test_a_clients_uri_is_part_of_its_profile() -> None:
    issuer = authority("client")
    billing = replace(GOOD, authority=issuer, profile=profile("client"), stored=stored(leaf(issuer)))
    assert evaluate(billing) is None
    moved = client_profile("billing", BILLING_URI.replace("cluster.local", "example.org"), ECDSA)
    violation = verdict(replace(billing, profile=moved))
    assert violation.reason == "ProfileChanged"
    assert (
        "names missing: spiffe://example.org/ns/shop/mtlsservice/orders/client/billing" in violation.message
    )


@pytest.mark.parametrize(
    ("wanted", "handled", "reissued"),
    [("", "", False), ("one", "one", False), ("", "one", False), ("one", "", True), ("two", "one", True)],
    ids=["never asked", "handled", "withdrawn", "asked", "asked again"],
)
def test_a_person_can_ask_for_a_new_one_once_with_each_value(
    wanted: str, handled: str, *, reissued: bool
) -> None:
    violation = evaluate(replace(GOOD, requested=wanted, stored=stored(requested=handled)))
    assert (violation is not None) == reissued
    if violation:
        message = f"The annotation mtls-operator.io/reissue asks for it with {wanted!r}."
        assert violation == Violation("Requested", message)


def test_a_request_is_quoted_in_part_only() -> None:
    violation = verdict(replace(GOOD, requested="line\n" * 1000))
    assert "\n" not in violation.message
    assert len(violation.message) < 200


def test_a_leaf_issued_while_the_clock_was_ahead_is_replaced_by_one_that_holds_now() -> None:
    old_authority = authority(now=NOW - DAY)
    early = replace(GOOD, authority=old_authority, stored=stored(leaf(old_authority, now=NOW + 5 * MINUTE)))
    message = "The certificate does not hold before 2026-03-14T09:30:53Z."
    assert verdict(early) == Violation("NotYetValid", message)
    healed = leaf(old_authority, now=NOW)
    assert evaluate(replace(early, stored=stored(healed))) is None


def test_a_clock_that_is_behind_by_less_than_the_backdating_changes_nothing() -> None:
    old_authority = authority(now=NOW - DAY)
    fresh = replace(GOOD, authority=old_authority, stored=stored(leaf(old_authority, now=NOW)))
    assert evaluate(replace(fresh, now=NOW - MINUTE)) is None


def test_where_the_authority_does_not_hold_yet_either_no_new_leaf_is_tried() -> None:
    assert evaluate(replace(GOOD, now=NOW - 5 * MINUTE)) is None


@pytest.mark.parametrize("late", [timedelta(), SECOND, DAY, 20 * DAY], ids=str)
def test_an_expired_leaf_says_so_even_when_renewal_was_due_long_ago(late: timedelta) -> None:
    expected = Violation("Expired", "The certificate expired at 2026-03-15T09:26:53Z.")
    assert verdict(replace(GOOD, now=EXPIRY + late)) == expected


def test_an_expired_leaf_says_so_even_when_its_authority_expired_with_it() -> None:
    issuer = authority(duration=HOUR)
    both = replace(GOOD, authority=issuer, stored=stored(leaf(issuer)), now=NOW + HOUR)
    assert verdict(both).reason == "Expired"


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (NOW, False),
        (DUE - SECOND, False),
        (DUE, True),
        (DUE + 5 * MINUTE, True),
        (EXPIRY - SECOND, True),
    ],
    ids=["new", "just before", "on time", "late", "last second"],
)
def test_renewal_is_due_from_its_time_on(now: datetime, *, due: bool) -> None:
    violation = evaluate(replace(GOOD, now=now))
    assert (violation is not None) == due
    if violation:
        message = (
            f"The certificate expires at 2026-03-15T09:26:53Z; renewal is due since {DUE:%Y-%m-%dT%H:%M:%SZ}."
        )
        assert violation == Violation("RenewalDue", message)


def test_a_leaf_that_ends_with_its_authority_is_not_renewed() -> None:
    issuer = authority(duration=MONTH)
    issued_at = NOW + MONTH - HOUR
    cut_short = replace(GOOD, authority=issuer, stored=stored(leaf(issuer, now=issued_at)))
    for minutes in (0, 1, 30, 59):
        assert evaluate(replace(cut_short, now=issued_at + minutes * MINUTE)) is None


def test_reasons_are_told_in_this_order() -> None:
    """Everything is wrong at once; mended one by one, the next reason comes to light."""
    foreign = leaf(authority(now=NOW - 10 * DAY), now=NOW - 10 * DAY)
    own = leaf(ISSUER, now=NOW)
    later = EXPIRY + HOUR
    worst = replace(
        GOOD,
        stored=None,
        requested="please",
        duration=2 * DAY,
        now=later,
    )
    worlds = [
        worst,
        replace(worst, stored=replace(stored(foreign), certificate_pem=b"?", key_pem=encode_key(own.key))),
        replace(worst, stored=replace(stored(foreign), key_pem=encode_key(own.key))),
        replace(worst, stored=stored(foreign)),
        replace(worst, stored=stored(own)),
        replace(worst, stored=stored(own), duration=DAY),
        replace(worst, stored=stored(own), duration=DAY, requested=""),
        replace(worst, stored=stored(own), duration=DAY, requested="", now=EXPIRY - SECOND),
        replace(worst, stored=stored(own), duration=DAY, requested="", now=NOW),
    ]
    assert [violation.reason if (violation := evaluate(world)) else None for world in worlds] == [
        "Missing",
        "Malformed",
        "KeyMismatch",
        "WrongAuthority",
        "ProfileChanged",
        "Requested",
        "Expired",
        "RenewalDue",
        None,
    ]


def test_a_part_of_the_chain_can_be_asked_alone() -> None:
    wrong = replace(GOOD, authority=authority("server"), requested="please")
    assert evaluate(wrong, checks=[expired]) is None
    assert evaluate(wrong, checks=CHECKS[2:]) == verdict(replace(GOOD, requested="please"))


def test_certificates_above_the_leaf_are_not_judged() -> None:
    chain = encode_bundle([ISSUED.certificate, authority("client").certificate])
    assert evaluate(replace(GOOD, stored=replace(stored(), certificate_pem=chain))) is None


def test_a_stored_key_does_not_show_in_a_traceback() -> None:
    assert "PRIVATE" not in repr(GOOD)
    assert "PRIVATE" not in repr(stored())


def test_a_rotated_leaf_is_as_wanted_again() -> None:
    renewed = issue_leaf(ISSUER, GOOD.profile, DAY, DUE, ENTROPY)
    assert evaluate(replace(GOOD, stored=stored(renewed), now=DUE)) is None


def test_a_leaf_that_began_before_its_holder_was_revoked_is_replaced() -> None:
    begun = ISSUED.certificate.not_valid_before_utc
    assert evaluate(replace(GOOD, not_before=begun)) is None
    assert verdict(replace(GOOD, not_before=begun + SECOND)).reason == "Revoked"


def test_revocation_is_told_before_a_request() -> None:
    revoked = replace(GOOD, not_before=NOW, requested="revoke/leak")
    assert verdict(revoked).reason == "Revoked"


def test_a_leaf_that_begins_when_its_holder_is_let_in_again_is_no_leaf_of_the_future() -> None:
    floor = NOW.replace(microsecond=0) + SECOND
    issued = issue_leaf(ISSUER, profile("server"), DAY, NOW, ENTROPY, not_before=floor)
    assert evaluate(replace(GOOD, stored=stored(issued), not_before=floor)) is None


SUCCEEDED = replace(GOOD, authority=authority("server"), former=(ISSUER.certificate,), since=NOW, longest=DAY)


def test_a_leaf_of_a_former_authority_stays_until_it_is_its_turn() -> None:
    turn = succession_time(ISSUED.certificate, NOW, DAY, UID)
    assert evaluate(replace(SUCCEEDED, now=turn - SECOND)) is None
    assert verdict(replace(SUCCEEDED, now=turn)).reason == "WrongAuthority"


def test_it_stays_while_nothing_signs_yet() -> None:
    assert evaluate(replace(SUCCEEDED, since=None, now=NOW + 6 * HOUR)) is None


def test_it_is_judged_by_everything_else_all_the_same() -> None:
    assert verdict(replace(SUCCEEDED, now=NOW, requested="now")).reason == "Requested"


def test_a_leaf_of_nobody_never_stays() -> None:
    strangers = leaf(authority("server"))
    assert verdict(replace(SUCCEEDED, stored=stored(strangers))).reason == "WrongAuthority"
