"""What the operator reads that others store: CAs that are lent to it, and its own Secret, however damaged."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

from mtls_operator.desired.keyring import STATE, Assumed, Keyring, decode_keyring, encode_keyring
from mtls_operator.pki.authority import Authority, decode_authority
from mtls_operator.pki.bundle import decode_bundle, encode_bundle
from mtls_operator.pki.generations import Generations, Retiring
from mtls_operator.pki.keys import decode_key
from mtls_operator.policies.foreign import flaw
from tests.fuzz.choices import Choices, sparse
from tests.fuzz.documents import places
from tests.fuzz.target import Target
from tests.fuzz.targets.material import BLOCKS, INTERMEDIATE, blocks
from tests.fuzz.world import CLIENT_AUTHORITY, NOW, PARTNER, SERVER_AUTHORITY, Issued, pem

T = TypeVar("T")
DAY: Final = timedelta(days=1)
ASSUMED = Assumed(
    longest={"server": DAY, "client": DAY}, rotated_for="", reissued_for="", revoked={}, now=NOW
)


def _authority(role: str, issued: Issued, *issuers: Issued) -> Authority:
    chain = b"".join(pem("CERTIFICATE", one.der) for one in (issued, *issuers))
    return decode_authority(
        "server" if role == "server" else "client", chain, pem("PRIVATE KEY", issued.key_der)
    )


KEYRING = Keyring(
    server=Generations(
        "server",
        _authority("server", SERVER_AUTHORITY),
        longest=DAY,
        since=NOW,
        next=_authority("server", INTERMEDIATE, SERVER_AUTHORITY),
        prepared_at=NOW,
        retiring=(Retiring("server", (PARTNER.certificate,), NOW + DAY),),
        foreign=frozenset({"00"}),
    ),
    client=Generations("client", _authority("client", CLIENT_AUTHORITY), longest=DAY, since=NOW),
    revoked={"spiffe://cluster.local/x": NOW},
)
STORED = encode_keyring(KEYRING)
VALUES: tuple[object, ...] = (
    *(0, -1, 1 << 31, 10**14, 1 << 63, 1 << 70, 1.5, None, True, "", "x", "\ud800", [], {}, ["x"]),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "2026-06-01", "0" * 64),
)


def check(data: bytes) -> None:
    choices = Choices(data)
    if choices.number() % 2:
        reads_what_is_lent(choices)
    else:
        reads_its_own(choices)


def reads_what_is_lent(choices: Choices) -> None:
    bundle = b"".join(blocks(choices))
    certificates = read(decode_bundle, bundle) or ()
    for certificate in certificates:
        for role in ("server", "client"):
            flaw(certificate, "server" if role == "server" else "client", strict=True)
    if certificates:
        assert decode_bundle(encode_bundle(certificates)) == certificates
    key = pem("PRIVATE KEY", choices.edited(choices.one_of([der for label, der in BLOCKS if "KEY" in label])))
    read(decode_key, key)
    read(lambda crt: decode_authority("client", crt, key), bundle)


def read(decode: Callable[[bytes], T], stored: bytes) -> T | None:
    """Read, or get a sentence that repeats nothing."""
    try:
        return decode(stored)
    except ValueError as error:
        says_nothing(str(error))
    return None


def says_nothing(message: str) -> None:
    assert message
    assert message.isascii()
    assert len(message) < 200


def reads_its_own(choices: Choices) -> None:
    data = dict(STORED)
    for _ in (0, *choices.some(3)):
        name = choices.one_of([STATE, *sorted(STORED)])
        match choices.number() % 4:
            case 0 if name == STATE:
                data[name] = altered(choices)
            case 1:
                data.pop(name, None)
            case 2:
                data[name] = b"".join(blocks(choices))
            case _:
                data[name] = choices.edited(data.get(name, b""))
    try:
        keyring = decode_keyring(data, ASSUMED)
    except ValueError as error:
        later_version(str(error))
        return
    written = encode_keyring(keyring)
    assert encode_keyring(decode_keyring(written, ASSUMED)) == written


def later_version(message: str) -> None:
    assert "upgrade" in message


def altered(choices: Choices) -> bytes:
    """Put another value at one place of the state."""
    state = json.loads(STORED[STATE])
    place = state
    while isinstance(place, dict | list) and place:
        key = choices.one_of(places(place))
        if not isinstance(place[key], dict | list) or choices.number() % 4 == 3:
            break
        place = place[key]
    if place:
        place[key] = choices.one_of(VALUES)
    return json.dumps(state).encode()


TARGET = Target(
    check,
    seeds=[
        *sparse(200, 80),
        *(bytes([1, *seed]) for seed in sparse(100, 79)),
        *(bytes([0, 0, 0, 0, *seed]) for seed in sparse(100, 6)),
    ],
    words=[b'"longest":', b'"version":', b"9999999999999999999", b"-1", b"null", b"9999-12-31T23:59:59Z"],
    max_bytes=512,
)
