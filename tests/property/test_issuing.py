"""What holds for every leaf: whatever its duration and names, whoever signs it, whenever."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from mtls_operator.pki.authority import Role, issue_authority
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.keys import KeyProfile, decode_key, encode_key
from mtls_operator.pki.leaf import Leaf, LeafProfile, client_profile, issue_leaf, server_profile
from mtls_operator.pki.renewal import SAFETY, renewal_time
from mtls_operator.policies.leaf import LeafInput, StoredLeaf, evaluate
from tests.unit.pki.samples import ECDSA, ED25519, ENTROPY, NOW, SECOND, entropy

unhurried = settings(deadline=None)

SHORTEST = timedelta(seconds=60)
keys = st.sampled_from([ECDSA, ED25519])
moments = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
labels = st.text("abcxyz019", min_size=1, max_size=63)
dns_names = st.lists(labels, min_size=1, max_size=3).map(".".join)


def whole_seconds(shortest: timedelta, longest: timedelta) -> st.SearchStrategy[timedelta]:
    return st.integers(shortest // SECOND, longest // SECOND).map(lambda count: count * SECOND)


def profiles(role: Role, key: KeyProfile) -> st.SearchStrategy[LeafProfile]:
    if role == "client":
        return dns_names.map(lambda name: client_profile(name, f"spiffe://cluster.local/{name}", key))
    addresses = st.lists(st.ip_addresses(), max_size=3)
    names = st.lists(dns_names, min_size=1, max_size=5)
    return st.builds(server_profile, names, addresses, st.just(key))


@st.composite
def wanted_leaves(draw: st.DrawFn) -> LeafInput:
    """Want a leaf of an authority that still holds, for a second or for years; nothing is stored."""
    now = draw(moments)
    duration = draw(whole_seconds(SHORTEST, timedelta(days=400)))
    life = draw(whole_seconds(SHORTEST, timedelta(days=4000)))
    age = draw(whole_seconds(timedelta(), life - SECOND))
    role: Role = draw(st.sampled_from(["server", "client"]))
    return LeafInput(
        stored=None,
        profile=draw(profiles(role, draw(keys))),
        authority=issue_authority(role, "shop/orders", life, now - age, entropy(draw(keys))),
        duration=duration,
        renew_before=draw(whole_seconds(timedelta(), 2 * duration)),
        requested=draw(st.text(max_size=5)),
        uid=str(draw(st.uuids())),
        now=now,
    )


def issue(wanted: LeafInput) -> tuple[Leaf, LeafInput]:
    """Issue what is wanted; return the leaf, and the same wish with the leaf stored."""
    leaf = issue_leaf(wanted.authority, wanted.profile, wanted.duration, wanted.now, ENTROPY)
    seconds = str(wanted.duration // SECOND)
    stored = StoredLeaf(encode_bundle([leaf.certificate]), encode_key(leaf.key), seconds, wanted.requested)
    return leaf, replace(wanted, stored=stored)


def due(leaf: Leaf, wanted: LeafInput) -> datetime:
    return renewal_time(leaf.certificate, wanted.duration, wanted.renew_before, wanted.uid)


@unhurried
@given(wanted_leaves())
def test_no_leaf_holds_when_its_authority_does_not(wanted: LeafInput) -> None:
    leaf, _ = issue(wanted)
    ca = wanted.authority.certificate
    assert ca.not_valid_before_utc <= leaf.certificate.not_valid_before_utc <= wanted.now
    assert wanted.now < leaf.certificate.not_valid_after_utc + SECOND
    assert leaf.certificate.not_valid_after_utc <= ca.not_valid_after_utc


@unhurried
@given(wanted_leaves())
def test_a_new_leaf_is_as_wanted(wanted: LeafInput) -> None:
    _, fresh = issue(wanted)
    assert evaluate(fresh) is None


@unhurried
@given(wanted_leaves())
def test_a_leaf_is_renewed_at_its_renewal_time_and_not_before(wanted: LeafInput) -> None:
    leaf, fresh = issue(wanted)
    if leaf.certificate.not_valid_after_utc == wanted.authority.not_after:
        assert evaluate(replace(fresh, now=wanted.authority.not_after - SECOND)) is None
        return
    renewal = due(leaf, fresh)
    assert evaluate(replace(fresh, now=renewal - SECOND)) is None
    violation = evaluate(replace(fresh, now=renewal))
    assert violation
    assert violation.reason == "RenewalDue"


@unhurried
@given(wanted_leaves())
def test_renewal_leaves_time_to_succeed(wanted: LeafInput) -> None:
    leaf, fresh = issue(wanted)
    left = leaf.certificate.not_valid_after_utc - due(leaf, fresh)
    assert left >= min(SAFETY, wanted.duration / 10) * 9 / 10
    assert left <= wanted.duration * 9 / 10 + SECOND


@unhurried
@given(wanted_leaves())
def test_renewing_never_loops_and_ends_only_with_the_authority(wanted: LeafInput) -> None:
    leaf, current = issue(wanted)
    for _ in range(5):
        if leaf.certificate.not_valid_after_utc == wanted.authority.not_after:
            break
        renewal, expiry = due(leaf, current), leaf.certificate.not_valid_after_utc
        assert renewal > current.now
        leaf, current = issue(replace(current, now=renewal))
        assert evaluate(current) is None
        assert leaf.certificate.not_valid_after_utc > expiry


_, FRESH = issue(
    LeafInput(
        stored=None,
        profile=server_profile(["orders"], [], ECDSA),
        authority=issue_authority("server", "shop/orders", timedelta(days=30), NOW, ENTROPY),
        duration=timedelta(days=1),
        renew_before=timedelta(hours=12),
        requested="",
        uid="",
        now=NOW,
    )
)


@unhurried
@given(st.binary(max_size=300), st.binary(max_size=300), st.text() | st.none(), st.text())
def test_whatever_is_stored_has_an_answer(
    certificate: bytes, key: bytes, duration: str | None, requested: str
) -> None:
    violation = evaluate(replace(FRESH, stored=StoredLeaf(certificate, key, duration, requested)))
    assert violation
    assert violation.reason == "Malformed"


@settings(deadline=None, max_examples=500)
@pytest.mark.filterwarnings("ignore:Parsed a", "ignore:Attribute's length")
@given(st.data())
def test_a_flipped_bit_of_a_certificate_is_noticed_unless_it_was_not_signed(data: st.DataObject) -> None:
    assert FRESH.stored
    certificate = x509.load_pem_x509_certificate(FRESH.stored.certificate_pem)
    der = bytearray(certificate.public_bytes(Encoding.DER))
    bit = data.draw(st.integers(0, 8 * len(der) - 1))
    der[bit // 8] ^= 1 << bit % 8
    pem = ssl.DER_cert_to_PEM_cert(bytes(der)).encode()
    if evaluate(replace(FRESH, stored=replace(FRESH.stored, certificate_pem=pem))) is None:
        flipped = x509.load_pem_x509_certificate(pem)
        assert flipped.tbs_certificate_bytes == certificate.tbs_certificate_bytes
        assert flipped.signature == certificate.signature


@unhurried
@given(st.data())
def test_a_garbled_key_is_noticed_or_still_the_key(data: st.DataObject) -> None:
    assert FRESH.stored
    position = data.draw(st.integers(0, len(FRESH.stored.key_pem) - 1))
    pem = bytearray(FRESH.stored.key_pem)
    pem[position] = data.draw(st.integers(0, 255))
    violation = evaluate(replace(FRESH, stored=replace(FRESH.stored, key_pem=bytes(pem))))
    if violation is None:
        assert encode_key(decode_key(bytes(pem))) == FRESH.stored.key_pem
    else:
        assert violation.reason in {"Malformed", "KeyMismatch"}
