import hashlib
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from mtls_operator.pki.authority import (
    MAX_COMMON_NAME,
    Authority,
    Role,
    decode_authority,
    encode_authority,
    issue_authority,
    was_issued_for,
)
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.keys import KeyProfile, encode_key
from tests.unit.pki.samples import (
    DAY,
    ENTROPY,
    HOUR,
    KEY_KINDS,
    MINUTE,
    MONTH,
    NOW,
    SECOND,
    authority,
    leaf,
    signed_by,
)


def _common_name(certificate: x509.Certificate) -> str:
    (attribute,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


@pytest.mark.parametrize("role", ["server", "client"])
def test_an_authority_may_sign_leaves_and_nothing_else(role: Role) -> None:
    certificate = authority(role).certificate
    extensions = {extension.oid: extension for extension in certificate.extensions}

    assert set(extensions) == {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
    constraints = extensions[ExtensionOID.BASIC_CONSTRAINTS]
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = extensions[ExtensionOID.KEY_USAGE]
    assert usage.critical
    assert usage.value == x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = extensions[ExtensionOID.SUBJECT_KEY_IDENTIFIER]
    assert not identifier.critical
    assert identifier.value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert certificate.version is x509.Version.v3


@pytest.mark.parametrize(
    ("duration", "backdating"), [(MONTH, MINUTE), (10 * MINUTE, MINUTE), (MINUTE, 6 * SECOND)], ids=str
)
def test_an_authority_holds_from_a_little_before_now_until_its_duration_is_over(
    duration: timedelta, backdating: timedelta
) -> None:
    issued = authority(duration=duration)
    whole = NOW.replace(microsecond=0)
    assert issued.certificate.not_valid_before_utc == whole - backdating
    assert issued.not_after == whole + duration


def test_the_subject_tells_people_role_and_service_and_is_the_issuer_too() -> None:
    certificate = authority("client").certificate
    assert certificate.subject.rfc4514_string().endswith("O=mtls-operator")
    assert _common_name(certificate).startswith("client authority of shop/orders ")
    assert certificate.issuer == certificate.subject


def test_each_generation_has_a_subject_of_its_own() -> None:
    generations = [authority() for _ in range(50)]
    assert len({generation.certificate.subject for generation in generations}) == 50
    assert len({generation.key_id for generation in generations}) == 50


def test_a_long_name_of_a_service_is_cut_but_generations_still_differ() -> None:
    service = f"{'n' * 63}/{'s' * 52}"
    first, second = (issue_authority("server", service, DAY, NOW, ENTROPY).certificate for _ in range(2))
    assert len(_common_name(first)) == MAX_COMMON_NAME
    assert _common_name(first).startswith("server authority of nnnn")
    assert first.subject != second.subject


@pytest.mark.parametrize("key", KEY_KINDS, ids=str)
def test_its_identifiers_are_those_that_openssl_computes(key: KeyProfile) -> None:
    issued = authority(key=key)
    pem = encode_bundle([issued.certificate])
    public = _openssl("x509", "-noout", "-pubkey", pem=pem)
    spki = _openssl("pkey", "-pubin", "-outform", "DER", pem=public)
    assert issued.spki_digest == hashlib.sha256(spki).hexdigest()
    shown = _openssl("x509", "-noout", "-ext", "subjectKeyIdentifier", pem=pem).decode()
    assert issued.key_id == shown.splitlines()[1].strip().replace(":", "").lower()


@pytest.mark.parametrize("key", KEY_KINDS, ids=str)
def test_an_authority_survives_writing_and_reading(key: KeyProfile) -> None:
    issued = authority("client", key=key)
    read = decode_authority("client", *encode_authority(issued))
    assert (read.role, read.certificate) == (issued.role, issued.certificate)
    assert encode_key(read.key) == encode_key(issued.key)
    leaf(read).certificate.verify_directly_issued_by(issued.certificate)


def test_an_authority_that_expired_is_still_read() -> None:
    expired = authority(now=NOW - 10 * MONTH, duration=HOUR)
    assert decode_authority("server", *encode_authority(expired)).not_after == expired.not_after


def test_a_key_of_another_authority_is_refused() -> None:
    (crt, _), (_, key) = encode_authority(authority()), encode_authority(authority())
    with pytest.raises(ValueError, match="does not belong to the certificate"):
        decode_authority("server", crt, key)


def test_a_leaf_is_no_authority() -> None:
    issued = leaf(authority())
    with pytest.raises(ValueError, match="is not one of a CA; it needs basic constraints CA:TRUE"):
        decode_authority("server", encode_bundle([issued.certificate]), encode_key(issued.key))


def test_a_chain_survives_writing_and_reading_and_ends_what_it_signs() -> None:
    root = authority(duration=DAY)
    below = authority(duration=MONTH)
    certificate = signed_by(root, below)
    read = decode_authority(
        "server", *encode_authority(Authority("server", certificate, below.key, (root.certificate,)))
    )
    assert (read.intermediates, read.root) == ((certificate,), root.certificate)
    assert leaf(read, duration=2 * DAY).certificate.not_valid_after_utc == root.not_after == read.not_after


def test_a_certificate_that_did_not_sign_the_one_before_is_no_chain() -> None:
    issued, other = authority(), authority()
    with pytest.raises(ValueError, match="did not sign the one before it"):
        decode_authority(
            "server", encode_bundle([issued.certificate, other.certificate]), encode_key(issued.key)
        )


def test_a_self_signed_authority_is_its_own_root() -> None:
    issued = authority()
    assert (issued.root, issued.intermediates) == (issued.certificate, ())


def test_what_can_not_be_read_is_refused() -> None:
    crt, key = encode_authority(authority())
    with pytest.raises(ValueError, match="there is no certificate"):
        decode_authority("server", b"", key)
    with pytest.raises(ValueError, match="there is no readable private key"):
        decode_authority("server", crt, b"")


def _openssl(*arguments: str, pem: bytes) -> bytes:
    return subprocess.run(["openssl", *arguments], input=pem, capture_output=True, check=True).stdout


@pytest.mark.parametrize("duration", [MINUTE, 65 * SECOND, 10 * MINUTE, DAY, MONTH])
def test_its_dates_tell_how_long_it_was_to_hold(duration: timedelta) -> None:
    issued = authority(duration=duration)
    assert was_issued_for(issued.certificate, duration)
    assert not was_issued_for(issued.certificate, duration + 3 * SECOND)
    assert not was_issued_for(issued.certificate, duration - 3 * SECOND)
