"""Given the certificate of somebody else's CA, expect this flaw, or none; and OpenSSL to see it so, too."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.x509.oid import ObjectIdentifier

from mtls_operator.pki.authority import Role
from mtls_operator.policies.foreign import flaw, is_self_signed
from tests.unit.pki.samples import DAY, KEY_KINDS, NOW, authority, key_source

from .cas import ANY_USAGE, CA, CLIENT_AUTH, SERVER_AUTH, SIGNS_NOT, Made, accepts, make_ca, sign_leaf

ROLES: tuple[Role, ...] = ("server", "client")
ROOT = make_ca("root")
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

GOOD = {
    "self-signed": ROOT,
    "intermediate": make_ca(issuer=ROOT),
    "with both usages": make_ca(usages=[CLIENT_AUTH, SERVER_AUTH]),
    "with a path length": make_ca(constraints=x509.BasicConstraints(ca=True, path_length=0)),
    "with a critical usage": make_ca(
        usages=[CLIENT_AUTH, SERVER_AUTH], critical={x509.ExtendedKeyUsage: True}
    ),
    "with an unknown extension": make_ca(further=[UNKNOWN]),
} | {f"of {kind}": make_ca(key=key_source(kind)) for kind in KEY_KINDS}

FLAWED = {
    "a leaf": (
        make_ca(constraints=x509.BasicConstraints(ca=False, path_length=None), usage=SIGNS_NOT),
        "is not that of a CA: it needs basicConstraints CA:TRUE",
    ),
    "no constraints": (
        make_ca(constraints=None, usage=None),
        "is not that of a CA: it needs basicConstraints CA:TRUE",
    ),
    "may not sign": (
        make_ca(usage=SIGNS_NOT),
        "may not sign certificates: its keyUsage needs keyCertSign",
    ),
    "for any usage": (
        make_ca(usages=[ANY_USAGE]),
        "is not meant for clients: its extendedKeyUsage needs clientAuth, or is left out",
    ),
    "for servers": (
        make_ca(usages=[SERVER_AUTH]),
        "is not meant for clients: its extendedKeyUsage needs clientAuth, or is left out",
    ),
    "unknown and critical": (
        make_ca(further=[UNKNOWN], critical={x509.UnrecognizedExtension: True}),
        "has a critical extension that verifiers do not know: 1.3.6.1.4.1.99999.1",
    ),
}
"""For clients."""

NOT_STRICT = {
    "constraints not critical": (
        make_ca(critical={x509.BasicConstraints: False}),
        "has basicConstraints that are not critical",
    ),
    "no key usage": (make_ca(usage=None), "has no keyUsage: it needs critical,keyCertSign"),
    "no identifier": (make_ca(ski=False), "has no subjectKeyIdentifier"),
    "identifier critical": (
        make_ca(critical={x509.SubjectKeyIdentifier: True}),
        "has a key identifier that is critical",
    ),
    "no name": (make_ca(""), "has no subject or no issuer"),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("made", GOOD.values(), ids=GOOD)
def test_a_good_ca_has_no_flaw_and_openssl_accepts_what_it_signs(
    made: Made, role: Role, tmp_path: Path
) -> None:
    assert flaw(made.certificate, role, strict=True) is None
    assert _openssl_accepts(made, role, tmp_path, strict=True)


@pytest.mark.parametrize("role", ROLES)
def test_an_authority_of_the_operator_has_no_flaw_where_another_service_trusts_it(role: Role) -> None:
    assert flaw(authority(role).certificate, role, strict=True) is None


@pytest.mark.parametrize(("made", "expected"), FLAWED.values(), ids=FLAWED)
def test_a_flaw_is_told_and_openssl_refuses_what_it_signs(made: Made, expected: str, tmp_path: Path) -> None:
    assert flaw(made.certificate, "client", strict=False) == expected
    assert not _openssl_accepts(made, "client", tmp_path, strict=False)


@pytest.mark.parametrize(("made", "expected"), NOT_STRICT.values(), ids=NOT_STRICT)
def test_what_only_the_strict_refuse_is_told_only_where_they_are(
    made: Made, expected: str, tmp_path: Path
) -> None:
    assert flaw(made.certificate, "client", strict=False) is None
    assert flaw(made.certificate, "client", strict=True) == expected
    assert not _openssl_accepts(made, "client", tmp_path, strict=True)


def test_an_intermediate_names_its_issuers_key() -> None:
    made = make_ca(issuer=ROOT, aki=False)
    assert flaw(made.certificate, "client", strict=False) is None
    assert (
        flaw(made.certificate, "client", strict=True)
        == "has no authorityKeyIdentifier with the keyid of its issuer"
    )


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (
            rsa.generate_private_key(65537, 1536),  # noqa: S505 - weak on purpose
            "has an RSA key of 1536 bits: it needs 2048 to 8192",
        ),
        (ec.generate_private_key(ec.SECP256K1()), "has a key of another kind than RSA, ECDSA on"),
        (ec.generate_private_key(ec.SECP224R1()), "has a key of another kind than RSA, ECDSA on"),
        (ed448.Ed448PrivateKey.generate(), "has a key of another kind than RSA, ECDSA on"),
        (dsa.generate_private_key(2048), "has a key of another kind than RSA, ECDSA on"),
    ],
    ids=["RSA 1536", "secp256k1", "P-224", "Ed448", "DSA"],
)
def test_keys_that_not_everybody_knows_or_that_are_weak_are_flaws(key: object, expected: str) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, NOW, NOW + DAY)  # type: ignore[attr-defined]
    certificate = builder.add_extension(CA, critical=True).sign(ROOT.key, hashes.SHA256())
    assert (flaw(certificate, "client", strict=False) or "").startswith(expected)


@pytest.mark.parametrize("digest", ["sha1", "sha224"])
def test_a_weak_signature_is_a_flaw(digest: str, tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old"]
    command += ["-keyout", "key", "-out", "crt", f"-{digest}"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    certificate = x509.load_pem_x509_certificate((tmp_path / "crt").read_bytes())
    told = f"is signed over {digest.upper()}: SHA-256, SHA-384 and SHA-512 are accepted"
    assert flaw(certificate, "client", strict=False) == told


def test_a_chain_ends_with_a_signature_not_with_a_name() -> None:
    namesake = make_ca("root", issuer=ROOT)
    assert is_self_signed(ROOT.certificate)
    assert not is_self_signed(namesake.certificate)
    assert not is_self_signed(make_ca(issuer=ROOT).certificate)


def _openssl_accepts(made: Made, role: Role, directory: Path, *, strict: bool) -> bool:
    """Whether a leaf below this CA, and nothing above it, is accepted."""
    return accepts(role, sign_leaf(made, role), [made.certificate], directory, strict=strict)
