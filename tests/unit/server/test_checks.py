"""Files that must not serve, and the sentence each gets."""

import ssl
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls_server.contract import CERTIFICATE, MAX_POLICY_BYTES, POLICY, PRIVATE_KEY, TRUST_ANCHORS
from mtls_server.files.checks import examine
from mtls_server.files.faults import Fault, MaterialError, NotYetValidError
from tests.unit.server import pki
from tests.unit.server.conftest import World

Files = dict[str, bytes]


def refusal(files: Files, *, x509_strict: bool = True) -> MaterialError:
    with pytest.raises(MaterialError) as caught:
        examine(files, pki.NOW, x509_strict=x509_strict)
    return caught.value


def test_good_files_are_parsed(world: World) -> None:
    material = examine(world.files(), pki.NOW, x509_strict=True)
    assert material.leaf.subject == pki.name("orders")
    assert material.anchors.certificates == (world.client_authority.certificate,)
    assert material.authorisation.policy == pki.policy(world.client_authority)


def test_what_a_delivery_leaves_as_it_was_is_not_made_again(world: World) -> None:
    first, second = (examine(world.files(), pki.NOW, x509_strict=True) for _ in range(2))
    assert second.leaf != first.leaf
    assert second.anchors is first.anchors
    assert second.authorisation is first.authorisation


def test_the_same_anchors_are_checked_again_where_more_is_asked_of_them(world: World) -> None:
    files = pki.files(pki.server(world.server_authority), pki.authority(key_usage=False))
    examine(files, pki.NOW, x509_strict=False)
    assert refusal(files).fault is Fault.NOT_STRICT


@pytest.mark.parametrize("name", [CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS, POLICY])
@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_missing_or_empty_file_is_named(world: World, name: str, state: str) -> None:
    files = world.files()
    files[name] = b""
    if state == "missing":
        del files[name]
    error = refusal(files)
    assert error.fault is Fault.MISSING
    assert str(error) == f"{name}: missing or empty"


GARBAGE = b"-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


def half(contents: bytes) -> bytes:
    return contents[: len(contents) // 2]


@pytest.mark.parametrize("name", [CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS, POLICY])
@pytest.mark.parametrize("spoil", [half, lambda _: b"garbage", lambda _: GARBAGE])
def test_a_spoilt_file_is_refused_without_its_contents(
    world: World, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    files = world.files()
    files[name] = spoil(files[name])
    error = refusal(files)
    assert error.fault is (Fault.POLICY if name == POLICY else Fault.UNREADABLE)
    assert name in str(error)
    assert "BEGIN" not in str(error)
    assert error.__cause__ is None


def test_the_key_of_another_certificate_is_refused(world: World) -> None:
    files = world.files() | {PRIVATE_KEY: world.files()[PRIVATE_KEY]}
    assert refusal(files).fault is Fault.KEY_MISMATCH


def test_an_encrypted_key_is_refused(world: World) -> None:
    served = pki.server(world.server_authority)
    encrypted = served.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    files = pki.files(served, world.client_authority) | {PRIVATE_KEY: encrypted}
    assert str(refusal(files)) == "tls.key is encrypted; mount it without a passphrase"


def test_pkcs12_is_no_pem(world: World) -> None:
    served = pki.server(world.server_authority)
    store = pkcs12.serialize_key_and_certificates(
        None, served.key, served.certificate, None, BestAvailableEncryption(b"passphrase")
    )
    assert refusal(world.files() | {CERTIFICATE: store}).fault is Fault.UNREADABLE


def test_an_intermediate_belongs_after_the_leaf(world: World) -> None:
    intermediate = pki.authority("intermediate", issuer=world.server_authority, path_length=0)
    served = pki.server(intermediate)
    good = pki.files(served, world.client_authority)
    assert len(examine(good, pki.NOW, x509_strict=True).chain) == 2

    stranger = world.server_authority.certificate.public_bytes(Encoding.PEM)
    leaf = served.certificate.public_bytes(Encoding.PEM)
    error = refusal(good | {CERTIFICATE: leaf + stranger})
    assert error.fault is Fault.BROKEN_CHAIN
    assert "certificate 2 did not issue certificate 1" in str(error)


@pytest.mark.parametrize("usages", [None, (ExtendedKeyUsageOID.CLIENT_AUTH,)])
def test_a_certificate_that_is_not_for_servers_is_refused(world: World, usages: object) -> None:
    assert refusal(world.files(usages=usages)).fault is Fault.NO_SERVER_AUTH


def test_every_name_of_the_policy_must_be_carried(world: World) -> None:
    error = refusal(world.files(dns_names=("orders",)))
    assert error.fault is Fault.NAMES_NOT_COVERED
    assert str(error).endswith(": orders.shop.svc")


def test_names_are_covered_without_regard_to_case_and_by_a_wildcard_of_one_label(world: World) -> None:
    examine(world.files(dns_names=("ORDERS", "*.shop.svc")), pki.NOW, x509_strict=True)
    assert refusal(world.files(dns_names=("orders", "*.svc"))).fault is Fault.NAMES_NOT_COVERED


def test_an_expired_certificate_is_refused(world: World) -> None:
    error = refusal(world.files(not_after=pki.NOW - timedelta(seconds=1)))
    assert error.fault is Fault.EXPIRED


def test_a_certificate_of_the_future_says_when_to_try_again(world: World) -> None:
    start = pki.NOW + timedelta(minutes=5)
    error = refusal(world.files(not_before=start))
    assert isinstance(error, NotYetValidError)
    assert error.not_before == start


def test_an_anchor_that_is_no_authority_is_refused(world: World) -> None:
    files = pki.files(pki.server(world.server_authority), world.client_authority, pki.leaf(None))
    error = refusal(files)
    assert error.fault is Fault.NOT_AN_AUTHORITY
    assert "certificate 2 is not an authority" in str(error)


def trusting(world: World, anchor: pki.Issued) -> Files:
    return pki.files(pki.server(world.server_authority), anchor)


def test_an_anchor_whose_name_cannot_be_parsed_is_refused(world: World) -> None:
    der = pki.authority("unparsable").der.replace(b"unparsable", b"unparsabl\xff")
    error = refusal(world.files() | {TRUST_ANCHORS: ssl.DER_cert_to_PEM_cert(der).encode()})
    assert error.fault is Fault.UNREADABLE
    assert str(error) == "ca.crt does not hold PEM certificates that can be parsed"


def test_an_authority_that_is_not_for_clients_is_refused(world: World) -> None:
    for_servers = pki.authority("servers", usages=(ExtendedKeyUsageOID.SERVER_AUTH,))
    error = refusal(trusting(world, for_servers))
    assert error.fault is Fault.NOT_AN_AUTHORITY
    assert "needs clientAuth, or is left out" in str(error)
    both = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    examine(trusting(world, pki.authority("both", usages=both)), pki.NOW, x509_strict=True)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (rsa.generate_private_key(65537, 1024), "1024 bits (RSA)"),  # noqa: S505 - to be refused
        (ec.generate_private_key(ec.SECP192R1()), "192 bits (EC)"),
    ],
    ids=["RSA", "EC"],
)
def test_an_authority_whose_clients_openssl_finds_weak_is_refused(
    world: World, key: pki.Key, words: str
) -> None:
    error = refusal(trusting(world, pki.authority("weak", key=key)), x509_strict=False)
    assert error.fault is Fault.WEAK_AUTHORITY
    assert words in str(error)


@pytest.mark.parametrize(
    ("bent", "words"),
    [
        ({"key_usage": False}, "lacks keyUsage,"),
        ({"critical": False}, "has basicConstraints that are not critical,"),
        ({"key_usage": False, "critical": False}, "lacks keyUsage and has basicConstraints that are not"),
    ],
)
def test_the_authority_of_a_tutorial_is_refused_only_when_strict(
    world: World, bent: dict[str, bool], words: str
) -> None:
    files = trusting(world, pki.authority("tutorial", **bent))  # type: ignore[arg-type]
    error = refusal(files)
    assert error.fault is Fault.NOT_STRICT
    assert words in str(error)
    examine(files, pki.NOW, x509_strict=False)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{}", "missing required field"),
        (b'{"version":2,"serverNames":[],"sources":{}}', "version 2"),
        (b'{"version":1,"serverNames":[],"sources":{},"alowed":[]}', "alowed"),
        (b" " * (MAX_POLICY_BYTES + 1), "at most"),
    ],
)
def test_a_policy_that_we_do_not_speak_is_refused(world: World, document: bytes, words: str) -> None:
    error = refusal(world.files() | {POLICY: document})
    assert error.fault is Fault.POLICY
    assert words in str(error)
