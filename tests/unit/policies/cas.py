"""CAs of users, good ones and every kind of odd ones."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mtls_operator.pki.authority import Authority, Role
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.keys import PrivateKey, generate_key, signing_hash
from mtls_operator.pki.leaf import USAGES, alternative_names, subject
from tests.unit.pki.samples import DAY, ECDSA, ENTROPY, MONTH, NOW, profile

CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
CA = x509.BasicConstraints(ca=True, path_length=None)


USAGE: Final = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "crl_sign": True,
    "encipher_only": False,
    "decipher_only": False,
}
SIGNS: Final = x509.KeyUsage(key_cert_sign=True, **USAGE)
SIGNS_NOT: Final = x509.KeyUsage(key_cert_sign=False, **USAGE)


@dataclass(frozen=True)
class Made:
    """A CA as a user makes it: certificate and key."""

    certificate: x509.Certificate
    key: PrivateKey

    def authority(self, role: Role, *issuers: "Made") -> Authority:
        return Authority(role, self.certificate, self.key, tuple(one.certificate for one in issuers))


def make_ca(
    name: str = "shop CA",
    *,
    issuer: Made | None = None,
    key: PrivateKey | None = None,
    constraints: x509.BasicConstraints | None = CA,
    usage: x509.KeyUsage | None = SIGNS,
    ski: bytes | bool = True,
    aki: bool = True,
    critical: Mapping[type[x509.ExtensionType], bool] = {},
    further: Sequence[x509.ExtensionType] = (),
    usages: Sequence[x509.ObjectIdentifier] = (),
    begins: datetime = NOW - MONTH,
    lasts: timedelta = 12 * MONTH,
    digest: Any = None,
) -> Made:
    """Make a CA; each keyword leaves a good one and breaks a rule, or sets one."""
    key = key or generate_key(ECDSA)
    holder = _name(name)
    signer = issuer.key if issuer else key
    builder = x509.CertificateBuilder(
        issuer.certificate.subject if issuer else holder, holder, key.public_key(), ENTROPY.serial()
    )
    builder = builder.not_valid_before(begins).not_valid_after(begins + lasts)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    if isinstance(ski, bytes):
        identifier = x509.SubjectKeyIdentifier(ski)
    extensions: list[x509.ExtensionType | None] = [constraints, usage, identifier if ski else None, *further]
    if issuer and aki:
        above = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        extensions.append(x509.AuthorityKeyIdentifier(above.digest, None, None))
    if usages:
        extensions.append(x509.ExtendedKeyUsage(usages))
    is_critical: dict[type[x509.ExtensionType], bool] = {
        x509.BasicConstraints: True,
        x509.KeyUsage: True,
        x509.NameConstraints: True,
        **critical,
    }
    for extension in filter(None, extensions):
        builder = builder.add_extension(extension, critical=is_critical.get(type(extension), False))
    return Made(builder.sign(signer, digest or signing_hash(signer)), key)


def sign_leaf(issuer: Made, role: Role) -> x509.Certificate:
    """Sign what we would, also with a CA that we would never use."""
    key = generate_key(ECDSA)
    shown = profile(role)
    builder = x509.CertificateBuilder(
        issuer.certificate.subject, subject(shown), key.public_key(), ENTROPY.serial(), NOW, NOW + DAY
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([USAGES[role]]), False),
        (alternative_names(shown), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer.key, signing_hash(issuer.key))


def accepts(
    role: Role,
    leaf: x509.Certificate,
    anchors: Sequence[x509.Certificate],
    directory: Path,
    *,
    shown: Sequence[x509.Certificate] = (),
    strict: bool = True,
    partial: bool = True,
) -> bool:
    """Ask OpenSSL whether a verifier with these anchors accepts the leaf, shown with these CAs, at `NOW`."""
    files = {"anchors": anchors, "shown": [leaf, *shown], "leaf": [leaf]}
    for name, certificates in files.items():
        (directory / name).write_bytes(encode_bundle(certificates))
    command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", "anchors", "-untrusted", "shown"]
    command += ["-purpose", f"ssl{role}", "-auth_level", "2", "-attime", str(int(NOW.timestamp()) + 60)]
    command += ["-x509_strict"] * strict + ["-partial_chain"] * partial
    verified = subprocess.run([*command, "leaf"], cwd=directory, capture_output=True, check=False, timeout=60)
    return verified.returncode == 0


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
