"""Every failed handshake has its reason in words."""

import errno
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from mtls_server.tls.failures import Presented, explain, read_presented
from tests.unit.server import pki
from tests.unit.server.conftest import World


def tls_error(
    reason: str | None, kind: type[ssl.SSLError] = ssl.SSLError, words: str = "and so on"
) -> ssl.SSLError:
    error = kind(ssl.SSL_ERROR_SSL, f"[SSL: {reason}] {words} (_ssl.c:1000)")
    error.reason = reason  # type: ignore[assignment]
    return error


def verification_error(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, "certificate verify failed")
    error.verify_message = message
    return error


BAD_MAC = tls_error("DECRYPTION_FAILED_OR_BAD_RECORD_MAC")
NOT_ASN1 = tls_error(None, words="ASN1 lib")
GONE = tls_error("Closed before TLS handshake with data in recv buffer.")
LEFT = tls_error(None, ssl.SSLZeroReturnError)
CUT_OFF = tls_error("UNEXPECTED_EOF_WHILE_READING", ssl.SSLEOFError)
RESET = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (tls_error("PEER_DID_NOT_RETURN_A_CERTIFICATE"), "client sent no certificate"),
        (verification_error("certificate has expired"), "certificate has expired"),
        (
            verification_error("unable to get local issuer certificate"),
            "unable to get local issuer certificate",
        ),
        (tls_error("TLSV1_ALERT_UNKNOWN_CA"), "client does not trust our certificate"),
        (tls_error("SSLV3_ALERT_BAD_CERTIFICATE"), "client does not trust our certificate"),
        (tls_error("SSLV3_ALERT_CERTIFICATE_UNKNOWN"), "client does not trust our certificate"),
        (tls_error("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "client does not trust our certificate"),
        (tls_error("TLSV1_ALERT_INTERNAL_ERROR"), "client sent the alert internal error"),
        (tls_error("HTTP_REQUEST"), "not a TLS client"),
        (tls_error("HTTPS_PROXY_REQUEST"), "not a TLS client"),
        (tls_error("WRONG_VERSION_NUMBER"), "not a TLS client"),
        (tls_error("UNSUPPORTED_PROTOCOL"), "TLS version not supported"),
        (tls_error("NO_SHARED_CIPHER"), "client and server have no algorithm in common"),
        (BAD_MAC, "client sent a malformed record"),
        (tls_error("RECORD_LAYER_FAILURE"), "client sent a malformed record"),
        (tls_error("UNEXPECTED_MESSAGE"), "unexpected message"),
        (tls_error("UNKNOWN_ALERT_TYPE"), "unknown alert type"),
        (tls_error("TLSV1_UNRECOGNIZED_NAME"), "client sent the alert unrecognized name"),
        (NOT_ASN1, "client sent what cannot be parsed"),
        (tls_error(None), "unknown error"),
        (GONE, "client reset the connection during the handshake"),
        (LEFT, "client closed the connection during the handshake"),
        (CUT_OFF, "client closed the connection during the handshake"),
        (RESET, "client reset the connection during the handshake"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "client reset the connection during the handshake"),
        (OSError(errno.ENOTCONN, "Not connected"), "client reset the connection during the handshake"),
        (TimeoutError(), "handshake took longer than 10 s"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "the connection failed: No route to host"),
    ],
)
def test_an_error_is_explained(error: OSError, words: str) -> None:
    assert explain(error, 10.0) == words


def test_the_deadline_is_named_as_set() -> None:
    assert explain(TimeoutError(), 0.25) == "handshake took longer than 0.25 s"


def test_a_certificate_is_described_as_presented(world: World) -> None:
    issued = pki.client(world.client_authority)
    assert read_presented(issued.der) == Presented(
        subject="CN=billing",
        serial=f"{issued.certificate.serial_number:x}",
        not_after=issued.certificate.not_valid_after_utc,
    )


def test_a_long_subject_is_cut_off(world: World) -> None:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, str(number) * 60) for number in range(9)]
    )
    presented = read_presented(pki.leaf(world.client_authority, subject=subject).der)
    assert presented is not None
    assert len(presented.subject) == 256


def test_a_long_serial_is_cut_off(world: World) -> None:
    issued = pki.client(world.client_authority)
    number, signed = issued.certificate.serial_number, issued.certificate.tbs_certificate_bytes
    # Both begin with tag and length, 4 octets each; then comes the version, 5 octets, and then the serial.
    _, _, behind = signed.partition(number.to_bytes((number.bit_length() + 7) // 8))
    long = _der(0x30, signed[4:9] + _der(0x02, b"\x01" * 50_000) + behind)
    presented = read_presented(_der(0x30, long + issued.der[4 + len(signed) :]))
    assert presented is not None
    assert len(presented.serial) == 40


def _der(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, size] if size < 0x80 else [tag, 0x80 | len(octets), *octets]) + contents


@pytest.mark.parametrize("der", [b"", b"\x30\x03\x02\x01\x00", b"not DER"])
def test_what_cannot_be_parsed_is_not_described(der: bytes) -> None:
    assert read_presented(der) is None


def test_a_date_has_its_time_zone(world: World) -> None:
    presented = read_presented(pki.client(world.client_authority).der)
    assert presented is not None
    assert presented.not_after > datetime.now(UTC)
