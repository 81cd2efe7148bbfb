"""Given what we issue, expect Python to accept it for its purpose only; `tests/verifiers` asks others."""

import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from mtls_operator.pki.authority import Authority, Role
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.keys import KeyProfile, encode_key
from mtls_operator.pki.leaf import Leaf, LeafProfile, client_profile, issue_leaf, server_profile
from tests.unit.pki.samples import (
    BILLING_URI,
    DAY,
    ECDSA,
    ENTROPY,
    HOUR,
    KEY_KINDS,
    SECOND,
    authority,
    leaf,
    profile,
    signed_by,
)

TODAY = datetime.now(UTC)
ROLES: tuple[Role, ...] = ("server", "client")
ACCEPTED = "accepted"
LONG_NAME = "x" * 63 + ".example"


@dataclass(frozen=True)
class Case:
    """A leaf that is shown, for a purpose, to somebody who trusts one authority."""

    purpose: Role
    trusted: Authority
    shown: Leaf
    above: tuple[x509.Certificate, ...] = ()
    """Shown with the leaf, though nobody trusts them."""
    server_name: str = "orders.shop.svc"
    verdict: str = ACCEPTED
    """Or why it is refused."""

    @property
    def chain(self) -> bytes:
        return encode_bundle([self.shown.certificate, *self.above])

    @property
    def anchor(self) -> bytes:
        return encode_bundle([self.trusted.certificate])


def _other(role: Role) -> Role:
    return "client" if role == "server" else "server"


def _issued(role: Role, key: KeyProfile = ECDSA, described: LeafProfile | None = None) -> Case:
    issuer = authority(role, now=TODAY, key=key)
    return Case(role, issuer, issue_leaf(issuer, described or profile(role, key), DAY, TODAY, ENTROPY))


def _for_the_other_purpose(role: Role) -> Case:
    return replace(_issued(role), purpose=_other(role), verdict="INVALID_PURPOSE")


def _trusting_another(role: Role) -> Case:
    stranger = authority(role, now=TODAY)
    return replace(_issued("client"), trusted=stranger, verdict="UNABLE_TO_VERIFY_LEAF_SIGNATURE")


def _signed_by_a_leaf() -> Case:
    good = _issued("client")
    impostor = Authority("client", good.shown.certificate, good.shown.key)
    forged = leaf(impostor, HOUR, now=TODAY)
    return replace(good, shown=forged, above=(good.shown.certificate,), verdict="UNSPECIFIED")


def _below_a_further_authority() -> Case:
    root, further = authority("client", now=TODAY), authority("client", now=TODAY)
    shown = leaf(further, HOUR, now=TODAY)
    return Case("client", root, shown, above=(signed_by(root, further),), verdict="PATH_LENGTH_EXCEEDED")


def _outside_its_dates(offset_hours: int, verdict: str) -> Case:
    issuer = authority("client", now=TODAY - DAY)
    return Case(
        "client", issuer, leaf(issuer, HOUR, now=TODAY + offset_hours * HOUR - SECOND), verdict=verdict
    )


CASES = {f"{role} {key}": _issued(role, key) for role in ROLES for key in KEY_KINDS} | {
    "server without subject": replace(
        _issued("server", described=server_profile([LONG_NAME], [], ECDSA)), server_name=LONG_NAME
    ),
    "client without subject": _issued("client", described=client_profile("c" * 65, BILLING_URI, ECDSA)),
    "server as client": _for_the_other_purpose("server"),
    "client as server": _for_the_other_purpose("client"),
    "of another generation": _trusting_another("client"),
    "of the other authority": _trusting_another("server"),
    "signed by a leaf": _signed_by_a_leaf(),
    "below a further authority": _below_a_further_authority(),
    "expired": _outside_its_dates(-1, "CERT_HAS_EXPIRED"),
    "not yet valid": _outside_its_dates(1, "CERT_NOT_YET_VALID"),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_case
def test_python_in_a_handshake(case: Case, tmp_path: Path) -> None:
    other = _issued(_other(case.purpose))
    server, client = (case, other) if case.purpose == "server" else (other, case)
    contexts = _contexts(server, client, tmp_path)
    if case.verdict == ACCEPTED:
        assert _handshake(*contexts, case.server_name).getpeercert()
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            _handshake(*contexts, case.server_name)


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("orders", True),
        ("orders.shop.svc.cluster.local", True),
        ("10.96.0.7", True),
        ("fd00::7", True),
        ("billing", False),
        ("orders.shop.svc.cluster.local.example", False),
        ("10.96.0.8", False),
    ],
)
def test_python_goes_by_the_names_of_the_server(name: str, *, accepted: bool, tmp_path: Path) -> None:
    contexts = _contexts(_issued("server"), _issued("client"), tmp_path)
    if accepted:
        peer = _handshake(*contexts, name).getpeercert()
        assert peer
        assert peer["subjectAltName"] == (("URI", BILLING_URI),)
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            _handshake(*contexts, name)


def _contexts(server: Case, client: Case, directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts of client and server; each shows its own leaf and trusts the other's authority."""
    client_side, server_side = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
    )
    for context, own, peer in ((client_side, client, server), (server_side, server, client)):
        pair = directory / f"{own.purpose}-{peer.purpose}.pem"
        pair.write_bytes(encode_key(own.shown.key) + own.chain)
        context.load_cert_chain(pair)
        context.load_verify_locations(cadata=peer.anchor.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    return client_side, server_side


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Shake hands in memory; return the server's side."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client_side, server_side, client_side, server_side):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return server_side
