"""What a certificate says of its holder, and what is refused rather than interpreted."""

import ipaddress
from datetime import timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mtls_server.identity import Identity, Name, Reason, RefusedError, parse
from tests.unit.server import pki
from tests.unit.server.conftest import World

ANY_EXTENDED_KEY_USAGE = ObjectIdentifier("2.5.29.37.0")


def refusal(issued: pki.Issued) -> Reason:
    with pytest.raises(RefusedError) as caught:
        parse(issued.der)
    return caught.value.refusal.reason


def with_uris(world: World, *uris: str) -> pki.Issued:
    return pki.leaf(world.client_authority, names=[x509.UniformResourceIdentifier(uri) for uri in uris])


def test_every_fact_of_the_certificate_is_there(world: World) -> None:
    caller = pki.leaf(
        world.client_authority,
        subject=x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme, Inc."),
                x509.NameAttribute(NameOID.COMMON_NAME, "billing"),
            ]
        ),
        names=[
            x509.UniformResourceIdentifier(pki.BILLING_URI),
            x509.DNSName("billing.shop.svc"),
            x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("fd00::1")),
            x509.RFC822Name("billing@example.com"),
        ],
    )
    assert parse(caller.der) == Identity(
        subject=Name(cn="billing", dn="CN=billing,O=Acme\\, Inc."),
        issuer=Name(cn="client authority", dn="CN=client authority"),
        serial=f"{caller.certificate.serial_number:x}",
        valid_from=pki.NOW - timedelta(minutes=1),
        valid_to=pki.NOW + timedelta(hours=1),
        fingerprint_sha256=caller.certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        spiffe_id=pki.BILLING_URI,
        uri=pki.BILLING_URI,
        dns_names=("billing.shop.svc",),
        ip_addresses=("10.0.0.1", "fd00::1"),
        email_addresses=("billing@example.com",),
    )


def test_its_json_is_flat_and_its_dates_are_rfc_3339_in_utc(world: World) -> None:
    identity = parse(pki.client(world.client_authority).der)
    document = msgspec.to_builtins(identity)
    assert document["valid_to"] == f"{pki.NOW + timedelta(hours=1):%FT%TZ}"
    assert document["subject"] == {"cn": "billing", "dn": "CN=billing"}


@pytest.mark.parametrize(
    "subject",
    [pki.name(), pki.name("billing", "admin"), pki.name("billing\0admin")],
    ids=["none", "two", "with a NUL"],
)
def test_an_ambiguous_common_name_is_no_common_name(world: World, subject: x509.Name) -> None:
    assert parse(pki.leaf(world.client_authority, subject=subject).der).subject.cn is None


@pytest.mark.parametrize(
    ("kind", "common_name", "told"),
    [
        (_ASN1Type.UTF8String, "café", "café"),
        (_ASN1Type.BMPString, "café", "café"),
        (_ASN1Type.T61String, "café", None),
        (_ASN1Type.IA5String, "café", None),
        (_ASN1Type.T61String, "coffee", "coffee"),
    ],
)
def test_a_common_name_that_others_read_otherwise_is_no_common_name(
    world: World, kind: _ASN1Type, common_name: str, told: str | None
) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, kind)])
    assert parse(pki.leaf(world.client_authority, subject=subject).der).subject.cn == told


@pytest.mark.parametrize(
    "usages",
    [None, (ExtendedKeyUsageOID.SERVER_AUTH,), (ANY_EXTENDED_KEY_USAGE,)],
    ids=["none", "serverAuth", "any"],
)
def test_a_certificate_must_be_for_clients(world: World, usages: tuple[ObjectIdentifier, ...] | None) -> None:
    assert refusal(pki.leaf(world.client_authority, usages=usages)) is Reason.NO_CLIENT_AUTH


def test_two_uris_are_refused(world: World) -> None:
    assert refusal(with_uris(world, pki.BILLING_URI, "https://example.com")) is Reason.SEVERAL_URIS
    assert refusal(with_uris(world, pki.BILLING_URI, pki.BILLING_URI)) is Reason.SEVERAL_URIS


def test_a_uri_that_is_no_spiffe_id_is_only_a_uri(world: World) -> None:
    identity = parse(with_uris(world, "https://example.com/%41?q#f").der)
    assert (identity.uri, identity.spiffe_id) == ("https://example.com/%41?q#f", None)


@pytest.mark.parametrize("uri", ["spiffe://a/b", "spiffe://a.b-c_d.1/Ab/_-.x/..."])
def test_a_good_spiffe_id_is_kept_as_it_is(world: World, uri: str) -> None:
    assert parse(with_uris(world, uri).der).spiffe_id == uri


@pytest.mark.parametrize(
    "uri",
    [
        "SPIFFE://cluster.local/a",
        "spiffe:cluster.local/a",
        "spiffe:/cluster.local/a",
        "spiffe:///a",
        "spiffe://cluster.local",
        "spiffe://cluster.local/",
        "spiffe://Cluster.local/a",
        "spiffe://cluster.local:443/a",
        "spiffe://user@cluster.local/a",
        "spiffe://cluster.local/a?b",
        "spiffe://cluster.local/a#b",
        "spiffe://cluster.local/a%2fb",
        "spiffe://cluster.local/a//b",
        "spiffe://cluster.local/a/",
        "spiffe://cluster.local/./a",
        "spiffe://cluster.local/a/..",
        "spiffe://cluster.local/a\n",
        "spiffe://cluster.local\n/a",
        "spiffe://cluster.local/" + "a" * 2048,
        "spiffe://" + "a" * 256 + "/a",
    ],
)
def test_a_bad_spiffe_id_is_refused(world: World, uri: str) -> None:
    assert refusal(with_uris(world, uri)) is Reason.BAD_SPIFFE_ID
