"""What the authority Secret holds survives being written and read; damage costs only what it hit."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mtls_operator.desired.keyring import STATE, Assumed, Keyring, decode_keyring, encode_keyring, lose
from mtls_operator.pki.authority import Authority
from mtls_operator.pki.generations import Generations, Retiring
from tests.unit.pki.samples import DAY, HOUR, MINUTE, MONTH, NOW, authority, signed_by

SINCE = NOW.replace(microsecond=0)
ROOT = authority("server")
BELOW = authority("server")
INTERMEDIATE = Authority("server", signed_by(ROOT, BELOW), BELOW.key, (ROOT.certificate,))
FORMER = Retiring("server", INTERMEDIATE.certificates, SINCE + HOUR)
KEYRING = Keyring(
    server=Generations(
        role="server",
        signing=authority("server"),
        longest=DAY,
        since=SINCE,
        next=INTERMEDIATE,
        prepared_at=SINCE + HOUR,
        retiring=(FORMER, Retiring("server", (ROOT.certificate,), SINCE + 2 * HOUR)),
        foreign=frozenset({INTERMEDIATE.key_id}),
        rotated_for="2026",
    ),
    client=Generations("client", authority("client"), longest=HOUR, since=SINCE),
    reissued_for="revoke/leak",
    revoked={"spiffe://cluster.local/x": SINCE},
)
ASSUMED = Assumed(
    longest={"server": 2 * DAY, "client": DAY}, rotated_for="old", reissued_for="older", revoked={}, now=SINCE
)


def contents(keyring: Keyring) -> dict[str, bytes]:
    return encode_keyring(keyring)


def test_it_survives_writing_and_reading() -> None:
    data = contents(KEYRING)
    assert contents(decode_keyring(data, ASSUMED)) == data


def test_only_what_signs_and_what_is_about_to_have_keys() -> None:
    keys = {name for name, part in contents(KEYRING).items() if b"PRIVATE KEY" in part}
    assert keys == {"server.key", "server-next.key", "client.key"}


def test_a_secret_without_state_has_nothing_prepared_and_assumes_the_rest() -> None:
    data = contents(replace(KEYRING, server=replace(KEYRING.server, next=None, retiring=())))
    del data[STATE]
    read = decode_keyring(data, ASSUMED)
    assert (read.server.next, read.server.retiring) == (None, ())
    assert (read.server.longest, read.client.longest) == (2 * DAY, DAY)
    assert (read.server.rotated_for, read.reissued_for) == ("old", "older")


@pytest.mark.parametrize("file", ["server.key", "server.crt"])
@pytest.mark.parametrize(
    "damage", [b"", b"?", contents(KEYRING)["client.key"]], ids=["gone", "garbled", "other"]
)
def test_damage_to_one_authority_leaves_the_other_as_it_is(file: str, damage: bytes) -> None:
    read = decode_keyring(contents(KEYRING) | {file: damage}, ASSUMED)
    assert read.server.signing is None
    assert read.client.signing is not None
    assert read.revoked == KEYRING.revoked


def test_a_certificate_whose_key_is_lost_is_trusted_while_a_leaf_of_it_may_hold() -> None:
    read = decode_keyring(contents(KEYRING) | {"server.key": b""}, ASSUMED)
    assert KEYRING.server.signing is not None
    lost = Retiring("server", KEYRING.server.signing.certificates, SINCE + DAY + 5 * MINUTE)
    assert lost in read.server.retiring


@pytest.mark.parametrize(
    ("longest", "until"),
    [(DAY, timedelta(days=1, minutes=5)), (2 * MONTH, MONTH), (None, MONTH)],
    ids=["its longest leaf", "never beyond its own end", "nobody knows"],
)
def test_how_long_a_lost_authority_is_trusted(longest: timedelta | None, until: timedelta) -> None:
    certificates = authority("client", now=SINCE).certificates
    assert lose("client", certificates, longest, SINCE).until == SINCE + until


def test_retiring_certificates_that_no_state_names_are_kept_until_they_end() -> None:
    data = contents(KEYRING)
    state = json.loads(data[STATE])
    del state["server"]["retiring"]
    read = decode_keyring(data | {STATE: json.dumps(state).encode()}, ASSUMED)
    ends = {each.certificates: each.until for each in read.server.retiring}
    assert ends[ROOT.certificate,] == ROOT.certificate.not_valid_after_utc


def test_a_later_version_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="version 2, and this operator reads 1: upgrade it"):
        decode_keyring(contents(KEYRING) | {STATE: b'{"version": 2}'}, ASSUMED)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"[]",
        b"{" * 10_000,
        b" " * 600_000 + contents(KEYRING)[STATE],
        contents(KEYRING)[STATE].replace(b"version", b"varsion"),
        contents(KEYRING)[STATE].replace(b'Z"', b'"'),
        contents(KEYRING)[STATE].replace(b"revoke/leak", b"\xff"),
        b'{"version":1,"what":' + b"[" * 10_000,
        contents(KEYRING)[STATE].replace(b'"longest":3600', b'"longest":99999999999999'),
    ],
    ids=[
        "empty",
        "a list",
        "deep",
        "huge",
        "an unknown field",
        "moments without a zone",
        "no UTF-8",
        "deeper",
        "too long a leaf",
    ],
)
def test_state_that_can_not_be_read_counts_as_none(state: bytes) -> None:
    read = decode_keyring(contents(KEYRING) | {STATE: state}, ASSUMED)
    assert read.server.longest == 2 * DAY
    assert read.server.signing is not None


def test_callers_trust_the_root_and_the_server_exactly_the_ca_that_signs() -> None:
    client = Authority("client", INTERMEDIATE.certificate, BELOW.key, (ROOT.certificate,))
    assert INTERMEDIATE.anchor == FORMER.anchor == ROOT.certificate
    assert client.anchor == INTERMEDIATE.certificate
    assert Retiring("client", client.certificates, SINCE).anchor == INTERMEDIATE.certificate


def test_a_bundle_stays_the_same_when_the_next_authority_begins_to_sign() -> None:
    old, new = authority("client"), authority("client", now=NOW + HOUR)
    before = Generations("client", old, longest=DAY, since=SINCE, next=new, prepared_at=SINCE)
    after = Generations(
        "client", new, longest=DAY, since=SINCE, retiring=(Retiring("client", old.certificates, SINCE),)
    )
    assert before.anchors == after.anchors == (old.certificate, new.certificate)
