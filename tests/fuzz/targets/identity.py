"""A peer's certificate: who it says its holder is, or a refusal; and what applications are told of that."""

import ipaddress
import os
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mtls_server.backends.upstream.caller import caller_fields
from mtls_server.backends.wsgi.caller import caller_variables
from mtls_server.files.material import Peer
from mtls_server.identity import Identity, Reason, RefusedError, parse
from mtls_server.tls.failures import read_presented
from tests.fuzz import der, reference
from tests.fuzz.choices import Choices, sparse
from tests.fuzz.target import Target
from tests.fuzz.world import CALLER, CLIENT_AUTHORITY, GENERATION, GRANTED, PARTNER, STRANGER

FIELDS = re.compile(
    r"client-cert: :[A-Za-z0-9+/]+=*:\r\n"
    r'x-forwarded-client-cert: Hash=[0-9a-f]{64};Subject="((?:[ !#-\[\]-~]|\\.)*)"(;[ -~]*)?\r\n'
    r"(?:x-mtls-client: [^,\r\n]+\r\n)?x-mtls-source: (?:own|partner)\r\n(?:x-mtls-tenant: [^,\r\n]+\r\n)?"
    r"x-mtls-roles: [ -~]*\r\n"
)
NAMES = re.compile(r';(URI|DNS)=("[^"]*"|[^";,=]*)')
KINDS = "URI", "DNS", "email", "IP Address"
MEMORY = os.memfd_create("certificate")


def check(data: bytes) -> None:
    choices = Choices(data)
    issuer, source = choices.one_of([(CLIENT_AUTHORITY, "own"), (PARTNER, "partner"), (STRANGER, None)])
    leaf = choices.rest() if choices.number() % 4 == 3 else der.certificate(choices)
    peer = GENERATION.judge(leaf, [leaf, issuer.der])
    again = GENERATION.judge(leaf, [leaf, issuer.der])
    assert (again.identity, again.refusal, again.by) == (peer.identity, peer.refusal, peer.by)
    assert GENERATION.judge_again(peer) is peer
    read_presented(leaf)
    expected = verdict(leaf, source)
    assert (peer.refusal and peer.refusal.reason, peer.by) == expected
    if peer.identity is None:
        assert peer.refusal is not None
        assert "BEGIN" not in peer.refusal.message
        return
    assert peer.identity.source == source
    says_what_openssl_reads(peer.identity, leaf)
    is_one_workload(peer.identity)
    is_told_faithfully(peer.identity, peer)


def verdict(leaf: bytes, source: str | None) -> tuple[Reason | None, str]:
    """Return what ought to come of a certificate, and which part of the policy decides."""
    try:
        identity = parse(leaf)
    except RefusedError as error:
        return error.refusal.reason, "default"
    except Exception:  # noqa: BLE001 - whatever the parser raises is a refusal
        return Reason.UNPARSABLE, "default"
    if source is None:
        return Reason.UNKNOWN_SOURCE, "default"
    reason, by = reference.decision(GRANTED, identity, source)
    if reason is None and identity.valid_to.timestamp() < GENERATION.clock():
        return Reason.EXPIRED, "default"
    return reason, by


def says_what_openssl_reads(identity: Identity, leaf: bytes) -> None:
    """The names that we go by are those of the certificate that OpenSSL has verified."""
    try:
        read = openssl(leaf)
    except (ssl.SSLError, UnicodeDecodeError):  # no handshake with such a certificate succeeds
        return
    common = [value for part in read["subject"] for kind, value in part if kind == "commonName"]
    assert identity.subject.cn in (None, *common[:1])
    assert len(common) == 1 or identity.subject.cn is None
    assert int(read["serialNumber"], 16) == int(identity.serial, 16)
    assert ssl.cert_time_to_seconds(read["notAfter"]) == int(identity.valid_to.timestamp())
    if "subjectAltName" in read:  # else there is none, or no handshake succeeds, as it cannot be parsed
        names = {
            kind: tuple(value for kind_, value in read["subjectAltName"] if kind_ == kind) for kind in KINDS
        }
        addresses = tuple(str(ipaddress.ip_address(value.strip())) for value in names["IP Address"])
        assert names["URI"] == (() if identity.uri is None else (identity.uri,))
        assert names["DNS"] == identity.dns_names
        assert names["email"] == identity.email_addresses
        assert addresses == identity.ip_addresses


def openssl(leaf: bytes) -> dict[str, Any]:
    os.ftruncate(MEMORY, 0)
    os.pwrite(MEMORY, ssl.DER_cert_to_PEM_cert(leaf).encode(), 0)
    return ssl._ssl._test_decode_cert(f"/proc/self/fd/{MEMORY}")  # type: ignore[attr-defined,no-any-return]


def is_one_workload(identity: Identity) -> None:
    if identity.spiffe_id is not None:
        assert identity.spiffe_id == identity.uri
        parts = urlsplit(identity.spiffe_id)
        assert parts.scheme == "spiffe"
        assert parts.netloc == parts.hostname
        assert not {"", ".", ".."} & set(parts.path.split("/")[1:])
        assert parts.geturl() == identity.spiffe_id.partition("?")[0].partition("#")[0]


def is_told_faithfully(identity: Identity, peer: Peer) -> None:
    """No name of a certificate can end a field, begin another one, or look like another name."""
    msgspec.json.encode(identity)
    caller_variables(identity, peer.pem_chain)
    fields = caller_fields(identity, peer.pem_chain, with_chain=True).decode("ascii")
    told = FIELDS.fullmatch(fields)
    assert told is not None, "a field is not as it should be"
    names = told[2] or ""
    pairs = [(match[1], match[2].strip('"')) for match in NAMES.finditer(names)]
    assert NAMES.sub("", names) == ""
    assert [value for kind, value in pairs if kind == "URI"] in ([], [identity.uri])
    assert {value for kind, value in pairs if kind == "DNS"} <= set(identity.dns_names)


TARGET = Target(
    check,
    seeds=[
        *(bytes([number % 3, 0]) + seed for number, seed in enumerate(sparse(300, 60))),
        b"\x00\x03" + CALLER.der,
        *(bytes([issuer, 0]) + bytes(prefix) for issuer in range(3) for prefix in range(0, 60, 6)),
        *(
            bytes([1, 0]) + bytes(prefix) + bytes([name]) + bytes(20)
            for prefix in range(6, 26, 2)
            for name in range(10)
        ),
    ],
    words=[*der.NAMES[:-1], *der.USAGES[:-1], CALLER.der[:4]],
    max_bytes=1024,
)
