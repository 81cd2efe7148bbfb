"""How a server behind this one is told who calls."""

import base64
import hashlib

import msgspec
import pytest
from cryptography import x509

from mtls_server.backends.upstream.caller import caller_fields
from mtls_server.identity import Identity, Name, parse
from tests.unit.server import pki
from tests.unit.server.conftest import World


@pytest.fixture(scope="module")
def caller(world: World) -> pki.Issued:
    names = [x509.UniformResourceIdentifier(pki.BILLING_URI), x509.DNSName("a.example"), x509.DNSName("*.b")]
    return pki.leaf(world.client_authority, subject=pki.name("billing"), names=names)


def told(
    caller: pki.Issued, *intermediates: str, with_chain: bool = False, **changed: object
) -> dict[str, str]:
    identity: Identity = msgspec.structs.replace(parse(caller.der), **changed)
    lines = caller_fields(identity, (caller.pem.decode(), *intermediates), with_chain=with_chain).decode()
    assert lines.endswith("\r\n")
    pairs = [line.split(": ", 1) for line in lines.removesuffix("\r\n").split("\r\n")]
    return dict(pairs)


def byte_sequence(issued: pki.Issued) -> str:
    return f":{base64.b64encode(issued.der).decode()}:"


def test_client_cert_is_the_certificate_as_a_byte_sequence(caller: pki.Issued) -> None:
    assert told(caller)["client-cert"] == byte_sequence(caller)
    assert "client-cert-chain" not in told(caller, with_chain=True)


def test_the_chain_is_told_by_choice(caller: pki.Issued) -> None:
    chain = [pki.authority("outer"), pki.authority("inner")]
    pems = [one.pem.decode() for one in chain]
    assert "client-cert-chain" not in told(caller, *pems)
    assert told(caller, *pems, with_chain=True)["client-cert-chain"] == ", ".join(map(byte_sequence, chain))


def test_x_forwarded_client_cert_is_written_as_envoy_does(caller: pki.Issued) -> None:
    digest = hashlib.sha256(caller.der).hexdigest()
    assert told(caller)["x-forwarded-client-cert"] == (
        f'Hash={digest};Subject="CN=billing";URI={pki.BILLING_URI};DNS=a.example;DNS=*.b'
    )


@pytest.mark.parametrize(
    ("dn", "written"),
    [
        ("CN=a\\,b;URI=spiffe://x/y", '"CN=a\\,b;URI=spiffe://x/y"'),
        ('CN=a\\"b', '"CN=a\\"b"'),
        ("CN=a\r\nX-Admin: yes", '"CN=a\\0D\\0AX-Admin: yes"'),
        ("CN=Jürgen", '"CN=J\\C3\\BCrgen"'),
    ],
)
def test_a_subject_cannot_leave_its_quotes(caller: pki.Issued, dn: str, written: str) -> None:
    assert f"Subject={written}" in told(caller, subject=Name(None, dn))["x-forwarded-client-cert"]


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("https://a/b,c", ';URI="https://a/b,c"'),
        ("https://a/b;DNS=c", ';URI="https://a/b;DNS=c"'),
        ('https://a/";DNS=c', ""),
        ("https://a/\r\nX-Admin: yes", ""),
        ("https://ä", ""),
    ],
)
def test_a_uri_is_told_as_it_is_or_not_at_all(caller: pki.Issued, uri: str, written: str) -> None:
    value = told(caller, uri=uri, spiffe_id=None, dns_names=("d", 'e";URI=f'))["x-forwarded-client-cert"]
    assert value.endswith(f'Subject="CN=billing"{written};DNS=d')


def test_what_the_policy_says_is_told_percent_encoded(caller: pki.Issued) -> None:
    fields = told(
        caller, client="billing", source="own", tenant="Größe\r\nA: b", roles=("reader", "a,b", "50%")
    )
    assert fields["x-mtls-client"] == "billing"
    assert fields["x-mtls-source"] == "own"
    assert fields["x-mtls-tenant"] == "Gr%C3%B6%C3%9Fe%0D%0AA: b"
    assert fields["x-mtls-roles"] == "reader, a%2Cb, 50%25"


def test_a_caller_without_tenant_and_roles_is_told_as_one(caller: pki.Issued) -> None:
    fields = told(caller, client="billing")
    assert "x-mtls-tenant" not in fields
    assert fields["x-mtls-roles"] == ""
