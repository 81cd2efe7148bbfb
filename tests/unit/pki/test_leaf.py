from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from mtls_operator.pki.authority import Role
from mtls_operator.pki.keys import KeyProfile, encode_key, profile_of
from mtls_operator.pki.leaf import LeafProfile, client_profile, issue_leaf, server_profile
from tests.unit.pki.samples import (
    BILLING_URI,
    DAY,
    ECDSA,
    ENTROPY,
    HOUR,
    KEY_KINDS,
    MINUTE,
    MONTH,
    NOW,
    RSA,
    SECOND,
    SERVER_NAMES,
    authority,
    leaf,
)

ROLES: tuple[Role, ...] = ("server", "client")
WHOLE_NOW = NOW.replace(microsecond=0)


def _extensions(certificate: x509.Certificate) -> dict[ObjectIdentifier, x509.Extension[x509.ExtensionType]]:
    return {extension.oid: extension for extension in certificate.extensions}


@pytest.mark.parametrize("role", ROLES)
def test_a_leaf_has_these_extensions_and_no_others(role: Role) -> None:
    assert set(_extensions(leaf(authority(role)).certificate)) == {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_leaf_is_no_ca(role: Role) -> None:
    constraints = _extensions(leaf(authority(role)).certificate)[ExtensionOID.BASIC_CONSTRAINTS]
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=False, path_length=None)


@pytest.mark.parametrize("key", KEY_KINDS, ids=str)
@pytest.mark.parametrize("role", ROLES)
def test_its_key_signs_and_only_an_rsa_key_enciphers(role: Role, key: KeyProfile) -> None:
    usage = _extensions(leaf(authority(role), key=key).certificate)[ExtensionOID.KEY_USAGE]
    assert usage.critical
    assert usage.value == x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key == RSA,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.mark.parametrize(
    ("role", "usage"),
    [("server", ExtendedKeyUsageOID.SERVER_AUTH), ("client", ExtendedKeyUsageOID.CLIENT_AUTH)],
)
def test_it_is_for_its_role_only(role: Role, usage: ObjectIdentifier) -> None:
    extension = _extensions(leaf(authority(role)).certificate)[ExtensionOID.EXTENDED_KEY_USAGE]
    assert extension.value == x509.ExtendedKeyUsage([usage])


@pytest.mark.parametrize("key", KEY_KINDS, ids=str)
def test_it_names_its_own_key_and_that_of_its_authority(key: KeyProfile) -> None:
    issuer = authority(key=key)
    certificate = leaf(issuer, key=key).certificate
    extensions = _extensions(certificate)
    own = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert extensions[ExtensionOID.SUBJECT_KEY_IDENTIFIER].value == own
    assert extensions[ExtensionOID.AUTHORITY_KEY_IDENTIFIER].value == x509.AuthorityKeyIdentifier(
        bytes.fromhex(issuer.key_id), None, None
    )
    assert certificate.issuer == issuer.certificate.subject
    certificate.verify_directly_issued_by(issuer.certificate)


@pytest.mark.parametrize("key", KEY_KINDS, ids=str)
def test_its_key_is_of_the_kind_wanted_and_belongs_to_it(key: KeyProfile) -> None:
    issued = leaf(authority(), key=key)
    assert profile_of(issued.key) == key
    assert issued.key.public_key() == issued.certificate.public_key()


def test_every_leaf_has_a_new_key_and_serial() -> None:
    issuer = authority()
    leaves = [leaf(issuer) for _ in range(50)]
    assert len({issued.certificate.serial_number for issued in leaves}) == 50
    assert len({encode_key(issued.key) for issued in leaves}) == 50


def test_a_server_has_its_dns_names_and_addresses() -> None:
    san = _extensions(leaf(authority("server")).certificate)[ExtensionOID.SUBJECT_ALTERNATIVE_NAME]
    assert not san.critical
    assert san.value == x509.SubjectAlternativeName(
        [
            *(x509.DNSName(name) for name in SERVER_NAMES),
            x509.IPAddress(ip_address("10.96.0.7")),
            x509.IPAddress(ip_address("fd00::7")),
        ]
    )


def test_a_client_has_one_uri_and_its_plain_name() -> None:
    certificate = leaf(authority("client")).certificate
    san = _extensions(certificate)[ExtensionOID.SUBJECT_ALTERNATIVE_NAME]
    assert not san.critical
    assert san.value == x509.SubjectAlternativeName([x509.UniformResourceIdentifier(BILLING_URI)])
    assert certificate.subject.rfc4514_string() == "CN=billing"


@pytest.mark.parametrize(
    ("names", "common_name"),
    [
        (SERVER_NAMES, "orders"),
        (("a" * 65, "b" * 64, "c"), "b" * 64),
        (("a" * 65,), ""),
        ((), ""),
    ],
    ids=["first", "first that fits", "none fits", "none"],
)
def test_a_servers_common_name_is_its_first_name_that_fits(names: tuple[str, ...], common_name: str) -> None:
    assert server_profile(names, ["10.0.0.1"], ECDSA).common_name == common_name


def test_a_name_that_comes_twice_is_written_once() -> None:
    described = server_profile(["a", "b", "a"], ["::1", "0:0::1"], ECDSA)
    assert described.dns_names == ("a", "b")
    assert described.ip_addresses == (ip_address("::1"),)


@pytest.mark.parametrize(
    "described",
    [server_profile(["x" * 63 + ".example"], [], ECDSA), client_profile("c" * 65, BILLING_URI, ECDSA)],
    ids=["server", "client"],
)
def test_where_no_name_fits_the_subject_is_empty_and_the_alternative_names_are_critical(
    described: LeafProfile,
) -> None:
    certificate = issue_leaf(authority(described.role), described, DAY, NOW, ENTROPY).certificate
    assert list(certificate.subject) == []
    assert _extensions(certificate)[ExtensionOID.SUBJECT_ALTERNATIVE_NAME].critical


@pytest.mark.parametrize(
    ("duration", "backdating"),
    [(DAY, MINUTE), (10 * MINUTE, MINUTE), (5 * MINUTE, 30 * SECOND), (MINUTE, 6 * SECOND)],
    ids=str,
)
def test_a_leaf_holds_from_a_little_before_now_until_its_duration_is_over(
    duration: timedelta, backdating: timedelta
) -> None:
    issuer = authority(now=NOW - HOUR)
    certificate = leaf(issuer, duration).certificate
    assert certificate.not_valid_before_utc == WHOLE_NOW - backdating
    assert certificate.not_valid_after_utc == WHOLE_NOW + duration


def test_a_leaf_never_holds_before_its_authority_does() -> None:
    issuer = authority(duration=5 * MINUTE)
    assert leaf(issuer).certificate.not_valid_before_utc == issuer.certificate.not_valid_before_utc


def test_a_leaf_never_outlives_its_authority() -> None:
    issuer = authority(duration=MONTH)
    certificate = leaf(issuer, DAY, now=NOW + MONTH - HOUR).certificate
    assert certificate.not_valid_after_utc == issuer.not_after


@pytest.mark.parametrize("late", [timedelta(), SECOND, DAY], ids=str)
def test_an_authority_that_expired_signs_no_more(late: timedelta) -> None:
    issuer = authority(duration=DAY)
    with pytest.raises(
        ValueError, match=r"^the server authority expired at 2026-03-15T09:26:53Z and signs no more$"
    ):
        leaf(issuer, now=issuer.not_after + late)


def test_an_authority_signs_only_leaves_of_its_role() -> None:
    with pytest.raises(ValueError, match=r"^a client authority signs no server certificates$"):
        issue_leaf(authority("client"), server_profile(["orders"], [], ECDSA), DAY, NOW, ENTROPY)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("10.0.0", "'10.0.0' does not appear to be an IPv4 or IPv6 address"),
        ("fe80::1%eth0", "the IP address fe80::1%eth0 has a zone; write it without %eth0"),
    ],
)
def test_what_is_not_an_ip_address_is_refused(address: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        server_profile(["orders"], [address], ECDSA)


@pytest.mark.parametrize("name", ["bestellungen.köln", "\u043erders"])
def test_a_name_that_is_not_ascii_is_refused_with_what_to_write_instead(name: str) -> None:
    sentence = f"^'{name}' is not ASCII; write international names in their xn-- form$"
    with pytest.raises(ValueError, match=sentence):
        server_profile(["orders", name], [], ECDSA)
    with pytest.raises(ValueError, match="is not ASCII"):
        client_profile("billing", f"spiffe://{name}/billing", ECDSA)


def test_a_server_without_any_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a server certificate needs a DNS name, an IP address or a URI$"):
        server_profile([], [], ECDSA)


def test_a_leaf_begins_no_sooner_than_it_may() -> None:
    floor = NOW.replace(microsecond=0) + SECOND
    issued = issue_leaf(
        authority("client"),
        client_profile("billing", BILLING_URI, ECDSA),
        DAY,
        NOW,
        ENTROPY,
        not_before=floor,
    ).certificate
    assert issued.not_valid_before_utc == floor
    assert issued.not_valid_after_utc == NOW.replace(microsecond=0) + DAY
    past = issue_leaf(
        authority("client"),
        client_profile("billing", BILLING_URI, ECDSA),
        DAY,
        NOW,
        ENTROPY,
        not_before=NOW - HOUR,
    ).certificate
    assert past.not_valid_before_utc == NOW.replace(microsecond=0) - MINUTE


def test_a_leaf_that_would_end_before_it_may_begin_is_refused() -> None:
    with pytest.raises(ValueError, match="are revoked, and one of now would have ended by then"):
        issue_leaf(
            authority("client"),
            client_profile("billing", BILLING_URI, ECDSA),
            HOUR,
            NOW,
            ENTROPY,
            not_before=NOW + HOUR,
        )
