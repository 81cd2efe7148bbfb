import hashlib
import re
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier

from mtls_operator.pki.bundle import MAX_BUNDLE_BYTES, decode_bundle, encode_bundle, fingerprint
from mtls_operator.pki.keys import encode_key
from tests.unit.pki.samples import DAY, ECDSA, NOW, authority, key_source

FIRST, SECOND = authority("server").certificate, authority("client").certificate
UNREADABLE = "there is a CERTIFICATE block that can not be read as an X.509 certificate"


def _with_extension(value: bytes, oid: str) -> x509.Certificate:
    """Sign a certificate with one extension of arbitrary contents."""
    key = key_source(ECDSA)
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + DAY)
    extension = x509.UnrecognizedExtension(ObjectIdentifier(oid), value)
    return builder.add_extension(extension, critical=False).sign(key, hashes.SHA256())


def _with_odd_name(certificate: x509.Certificate) -> bytes:
    """Make common names BIT STRINGs instead of UTF8Strings."""
    der = certificate.public_bytes(Encoding.DER)
    return ssl.DER_cert_to_PEM_cert(der.replace(b"\x55\x04\x03\x0c", b"\x55\x04\x03\x03")).encode()


def test_certificates_survive_writing_and_reading_in_their_order() -> None:
    assert decode_bundle(encode_bundle([FIRST, SECOND])) == (FIRST, SECOND)
    assert decode_bundle(encode_bundle([SECOND, FIRST])) == (SECOND, FIRST)


def test_an_empty_bundle_is_empty_text() -> None:
    assert encode_bundle([]) == b""


def test_text_between_the_blocks_and_windows_line_ends_are_skipped() -> None:
    annotated = b"# our root\n" + encode_bundle([FIRST]) + b"\n\xc3\xa9\n" + encode_bundle([SECOND])
    assert decode_bundle(annotated) == (FIRST, SECOND)
    assert decode_bundle(annotated.replace(b"\n", b"\r\n")) == (FIRST, SECOND)


@pytest.mark.parametrize(
    ("pem", "sentence"),
    [
        (b"", "there is no certificate; store one in PEM, beginning with BEGIN CERTIFICATE"),
        (
            FIRST.public_bytes(Encoding.DER),
            "there is no certificate; store one in PEM, beginning with BEGIN CERTIFICATE",
        ),
        (encode_bundle([FIRST] * 65), "there are 65 certificates; at most 64 are read"),
        (
            b"\n" * (MAX_BUNDLE_BYTES + 1),
            f"the certificates are 262145 bytes long; at most {MAX_BUNDLE_BYTES} are read",
        ),
        (
            encode_bundle([FIRST]) + encode_key(key_source(ECDSA)),
            "there is something else than certificates; leave only the CERTIFICATE blocks",
        ),
        (
            encode_bundle([FIRST]).replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
            "there is something else than certificates; leave only the CERTIFICATE blocks",
        ),
        (encode_bundle([FIRST, SECOND])[:-40], UNREADABLE),
        (encode_bundle([FIRST, SECOND]).replace(b"-----END CERTIFICATE-----\n", b"", 1), UNREADABLE),
        (b"-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n", UNREADABLE),
        (encode_bundle([_with_extension(b"\x30\x03\x02\x01", "2.5.29.17")]), UNREADABLE),
        (encode_bundle([_with_extension(b"\x04\x02\x00\x00", "2.5.29.19")]), UNREADABLE),
        (_with_odd_name(FIRST), UNREADABLE),
    ],
    ids=[
        "empty",
        "DER",
        "too many",
        "too large",
        "with a key",
        "trusted certificate",
        "truncated",
        "an end lost",
        "not a certificate",
        "broken SAN",
        "broken basic constraints",
        "a name that is no text",
    ],
)
def test_what_is_not_a_bundle_of_certificates_is_refused_without_repeating_it(
    pem: bytes, sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$") as refusal:
        decode_bundle(pem)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_limits_are_the_callers_to_tighten() -> None:
    pem = encode_bundle([FIRST, SECOND])
    assert decode_bundle(pem, limit=2, max_bytes=len(pem)) == (FIRST, SECOND)
    with pytest.raises(ValueError, match="at most 1 are read"):
        decode_bundle(pem, limit=1)
    with pytest.raises(ValueError, match="bytes long"):
        decode_bundle(pem, max_bytes=len(pem) - 1)


def test_the_fingerprint_is_the_one_that_openssl_prints() -> None:
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=encode_bundle([FIRST]),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert fingerprint(FIRST) == printed.strip().partition("=")[2].replace(":", "").lower()
    assert fingerprint(FIRST) == hashlib.sha256(FIRST.public_bytes(Encoding.DER)).hexdigest()
