"""One service whose keys, certificates and clock never change, so that inputs keep their meaning."""

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from mtls_server.contract import (
    CERTIFICATE,
    OWN_SOURCE,
    POLICY,
    POLICY_VERSION,
    PRIVATE_KEY,
    TRUST_ANCHORS,
    Client,
    Policy,
    Route,
    Rule,
    encode_policy,
)
from mtls_server.files.context import TlsSettings
from mtls_server.files.material import build
from tests.unit.server import pki

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GONE = pki.BILLING_URI.replace("billing", "gone")
SERVER_AUTH, CLIENT_AUTH = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_der(self) -> bytes:
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def spki(self) -> str:
        return pki.spki(self.certificate)


def key(name: str, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """Return the key of that name, which everybody knows."""
    return ec.derive_private_key(int.from_bytes(_digest(name)[:20]), curve or ec.SECP256R1())


def ed25519_key(name: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(_digest(name))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def authority(name: str, issuer: Issued | None = None, *, usage: bool = True) -> Issued:
    extensions: list[x509.ExtensionType] = [x509.BasicConstraints(ca=True, path_length=None)]
    if usage:
        extensions.append(pki.usage(certificate_sign=True))
    return issue(name, key(name), issuer, extensions)


def leaf(
    name: str,
    issuer: Issued,
    names: Sequence[x509.GeneralName],
    usage: ObjectIdentifier,
    *,
    held: Key | None = None,
    begins: datetime = NOW - timedelta(days=1),
) -> Issued:
    extensions = [
        x509.BasicConstraints(ca=False, path_length=None),
        x509.SubjectAlternativeName(names),
        x509.ExtendedKeyUsage([usage]),
    ]
    return issue(name, held or key(name), issuer, extensions, begins)


def issue(
    name: str,
    held: Key,
    issuer: Issued | None,
    extensions: Sequence[x509.ExtensionType],
    begins: datetime = NOW - timedelta(days=1),
) -> Issued:
    """Issue a certificate whose every octet follows from the arguments."""
    signer = issuer.key if issuer else held
    builder = (
        x509.CertificateBuilder()
        .subject_name(pki.name(name))
        .issuer_name(issuer.certificate.subject if issuer else pki.name(name))
        .public_key(held.public_key())
        .serial_number(int.from_bytes(_digest(name)[:8]))
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(held.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        return Issued(builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True), held)
    return Issued(builder.sign(signer, None), held)


SERVER_AUTHORITY = authority("server authority")
CLIENT_AUTHORITY = authority("client authority")
PARTNER = authority("partner")
STRANGER = authority("stranger")
SERVER = leaf("orders", SERVER_AUTHORITY, [x509.DNSName("orders"), x509.DNSName("*.shop.svc")], SERVER_AUTH)
CALLER = leaf("billing", CLIENT_AUTHORITY, [x509.UniformResourceIdentifier(pki.BILLING_URI)], CLIENT_AUTH)

GRANTED = Policy(
    version=POLICY_VERSION,
    server_names=("orders", "orders.shop.svc"),
    sources={OWN_SOURCE: (CLIENT_AUTHORITY.spki,), "partner": (PARTNER.spki,)},
    clients={pki.BILLING_URI: Client("billing", roles=("reader",), tenant="acme"), GONE: Client("gone")},
    revoked={GONE: NOW},
    rules=(
        Rule(dns="xn--caf-dma.example", deny=True),
        Rule(source="partner", spiffe_id="spiffe://cluster.local/ns/*/sa/*", roles=("reader",)),
        Rule(source="partner", cn="Billing", roles=("writer", "a, b\r\n"), tenant="caf\u00e9"),
        Rule(source="partner", uri="https://partner.example/a?b#c"),
        Rule(dns="billing.example", roles=("admin",)),
    ),
    routes=(
        Route("/admin/**", roles=("admin",)),
        Route("/orders/*", methods=("GET",), roles=("reader", "writer")),
        Route("/closed", roles=("nobody",)),
        Route("/**"),
    ),
)


def pem(label: str, der: bytes) -> bytes:
    """Armour (RFC 7468)."""
    text = ssl.DER_cert_to_PEM_cert(der)
    return text.replace("CERTIFICATE", label).encode()


FILES = {
    CERTIFICATE: pem("CERTIFICATE", SERVER.der),
    PRIVATE_KEY: pem("PRIVATE KEY", SERVER.key_der),
    TRUST_ANCHORS: pem("CERTIFICATE", CLIENT_AUTHORITY.der) + pem("CERTIFICATE", PARTNER.der),
    POLICY: encode_policy(GRANTED),
}
GENERATION = build(FILES, 1, TlsSettings(), NOW.timestamp)
