"""A small PKI for tests: authorities, servers, callers, each certificate bendable in one way."""

import hashlib
import itertools
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mtls_server.contract import (
    CERTIFICATE,
    OWN_SOURCE,
    POLICY,
    POLICY_VERSION,
    PRIVATE_KEY,
    TRUST_ANCHORS,
    Client,
    Policy,
    encode_policy,
)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NOW = datetime.now(UTC).replace(microsecond=0)
BILLING_URI = "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing"
SERVER_NAMES = ("orders", "orders.shop.svc")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and the certificates above it that are not anchors."""

    certificate: x509.Certificate
    key: Key
    intermediates: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return b"".join(one.public_bytes(Encoding.PEM) for one in (self.certificate, *self.intermediates))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def spki(self) -> str:
        """SHA-256 of the public key, as the policy lists sources."""
        return spki(self.certificate)


def spki(certificate: x509.Certificate) -> str:
    der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def name(*common_names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in common_names])


def authority(
    common_name: str = "",
    *,
    issuer: Issued | None = None,
    key: Key | None = None,
    path_length: int | None = None,
    key_usage: bool = True,
    is_ca: bool = True,
    critical: bool = True,
    usages: Sequence[ObjectIdentifier] = (),
    not_before: datetime = NOW - timedelta(days=1),
    not_after: datetime = NOW + timedelta(days=30),
) -> Issued:
    """Issue a root, or with `issuer` an intermediate; `critical` are its basic constraints."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = name(common_name or f"authority {next(_numbers)}")
    constraints = x509.BasicConstraints(is_ca, path_length)
    extensions: list[tuple[x509.ExtensionType, bool]] = [(constraints, critical)]
    if key_usage:
        extensions.append((usage(certificate_sign=is_ca), True))
    if usages:
        extensions.append((x509.ExtendedKeyUsage(usages), False))
    return _issue(_Form(subject, not_before, not_after, extensions), key, issuer)


def leaf(
    issuer: Issued | None,
    *,
    subject: x509.Name | None = None,
    names: Sequence[x509.GeneralName] = (),
    usages: Sequence[ObjectIdentifier] | None = (ExtendedKeyUsageOID.CLIENT_AUTH,),
    key: Key | None = None,
    not_before: datetime = NOW - timedelta(minutes=1),
    not_after: datetime = NOW + timedelta(hours=1),
    authority_key: bool = True,
    further: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """Issue an end-entity certificate, with `further` extensions; without `issuer` it is self-signed."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage(certificate_sign=False), True),
        *further,
    ]
    if names:
        extensions.append((x509.SubjectAlternativeName(names), False))
    if usages is not None:
        extensions.append((x509.ExtendedKeyUsage(usages), False))
    form = _Form(
        name("leaf") if subject is None else subject,
        not_before,
        not_after,
        extensions,
        authority_key,
    )
    return _issue(form, key or ec.generate_private_key(ec.SECP256R1()), issuer)


def server(issuer: Issued, *, dns_names: Sequence[str] = SERVER_NAMES, **bent: object) -> Issued:
    bent.setdefault("usages", (ExtendedKeyUsageOID.SERVER_AUTH,))
    return leaf(issuer, subject=name("orders"), names=[x509.DNSName(one) for one in dns_names], **bent)  # type: ignore[arg-type]


def client(issuer: Issued, *, uri: str = BILLING_URI, common_name: str = "billing", **bent: object) -> Issued:
    return leaf(issuer, subject=name(common_name), names=[x509.UniformResourceIdentifier(uri)], **bent)  # type: ignore[arg-type]


def policy(own: Issued, *, server_names: Sequence[str] = SERVER_NAMES, **sources: Issued) -> Policy:
    """Grant `billing` the role `reader`; further sources by name."""
    keys = {OWN_SOURCE: own, **sources}
    return Policy(
        version=POLICY_VERSION,
        server_names=tuple(server_names),
        sources={source: (one.spki,) for source, one in keys.items()},
        clients={BILLING_URI: Client("billing", roles=("reader",), tenant="acme")},
    )


def files(
    served: Issued, client_authority: Issued, *others: Issued, granted: Policy | None = None
) -> dict[str, bytes]:
    """What the operator would mount: `others` are further trust anchors."""
    return {
        CERTIFICATE: served.pem,
        PRIVATE_KEY: served.key_pem,
        TRUST_ANCHORS: b"".join(
            one.certificate.public_bytes(Encoding.PEM) for one in (client_authority, *others)
        ),
        POLICY: encode_policy(granted or policy(client_authority)),
    }


def at(moment: datetime = NOW) -> Callable[[], float]:
    """Return a clock that stands still."""
    return moment.timestamp


@dataclass(frozen=True)
class _Form:
    subject: x509.Name
    not_before: datetime
    not_after: datetime
    extensions: Sequence[tuple[x509.ExtensionType, bool]]
    authority_key: bool = True


def _issue(form: _Form, key: Key, issuer: Issued | None) -> Issued:
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(form.subject)
        .issuer_name(issuer.certificate.subject if issuer else form.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(form.not_before)
        .not_valid_after(form.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if form.authority_key:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(identifier, critical=False)
    for extension, critical in form.extensions:
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(signer, hashes.SHA256())
    above = () if issuer is None or _self_signed(issuer) else (issuer.certificate, *issuer.intermediates)
    return Issued(certificate, key, above)


def _self_signed(issued: Issued) -> bool:
    return issued.certificate.subject == issued.certificate.issuer


def usage(*, certificate_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificate_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificate_sign,
        crl_sign=certificate_sign,
        encipher_only=False,
        decipher_only=False,
    )


def key_id(issued: Issued) -> str:
    """Return the subject key identifier in lower-case hex."""
    return issued.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def described(issued: Issued) -> dict[str, str]:
    """What a line of the log says of a certificate."""
    return {
        "subject": issued.certificate.subject.rfc4514_string(),
        "serial": f"{issued.certificate.serial_number:x}",
        "not_after": f"{issued.certificate.not_valid_after_utc:%FT%TZ}",
    }


def client_context(trusted: Issued, caller: Issued | None, directory: Path) -> ssl.SSLContext:
    """Return the context of a caller; `directory` takes its files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # a caller may come with whatever it has
    context.load_verify_locations(cadata=trusted.der)
    if caller is not None:
        pair = directory / f"caller-{next(_numbers)}.pem"
        pair.write_bytes(caller.pem + caller.key_pem)
        context.load_cert_chain(pair)
    return context


def shake_hands(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, ours: socket.socket, theirs: socket.socket
) -> ssl.SSLSocket:
    """Shake hands over a pair of sockets and return the server's side."""
    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(client_context.wrap_socket, theirs, server_hostname="orders")
        served = server_context.wrap_socket(ours, server_side=True)
        client.result().detach()
    return served


def serial(der: bytes) -> int:
    return x509.load_der_x509_certificate(der).serial_number
