"""Why a handshake failed, in words, and what the refused client presented; pure."""

import errno
import re
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

NO_CERTIFICATE: Final = "client sent no certificate"
NOT_TLS: Final = "not a TLS client"
UNSUPPORTED_VERSION: Final = "TLS version not supported"
NOTHING_IN_COMMON: Final = "client and server have no algorithm in common"
MALFORMED_RECORD: Final = "client sent a malformed record"
TOO_LARGE: Final = "client sent a message that is too large"
UNPARSABLE: Final = "client sent what cannot be parsed"
DISTRUSTED: Final = "client does not trust our certificate"
CLOSED: Final = "client closed the connection during the handshake"
RESET: Final = "client reset the connection during the handshake"
SILENT: Final = "client sent nothing"
SLOW: Final = "client was slow while others waited"

_OF_RECORDS: Final = {
    "RECORD_LAYER_FAILURE",
    "BAD_RECORD_TYPE",
    "DATA_LENGTH_TOO_LONG",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    "ENCRYPTED_LENGTH_TOO_LONG",
    "INVALID_CCS_MESSAGE",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LENGTH_MISMATCH",
    "RECORD_TOO_SMALL",
    "TOO_MUCH_EARLY_DATA",
    "UNEXPECTED_CCS_MESSAGE",
}
"""OpenSSL 3.2 and later have the first name for all of them."""

_WORDS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": NO_CERTIFICATE,
    "HTTP_REQUEST": NOT_TLS,
    "HTTPS_PROXY_REQUEST": NOT_TLS,
    "WRONG_VERSION_NUMBER": NOT_TLS,
    **dict.fromkeys(_OF_RECORDS, MALFORMED_RECORD),
    "UNKNOWN_PROTOCOL": UNSUPPORTED_VERSION,
    "UNSUPPORTED_PROTOCOL": UNSUPPORTED_VERSION,
    "VERSION_TOO_LOW": UNSUPPORTED_VERSION,
    "WRONG_SSL_VERSION": UNSUPPORTED_VERSION,
    "NO_SHARED_CIPHER": NOTHING_IN_COMMON,
    "NO_SUITABLE_KEY_SHARE": NOTHING_IN_COMMON,
    "NO_SHARED_GROUPS": NOTHING_IN_COMMON,
    "NO_SHARED_SIGNATURE_ALGORITHMS": NOTHING_IN_COMMON,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": NOTHING_IN_COMMON,
    "NO_APPLICATION_PROTOCOL": NOTHING_IN_COMMON,
    "EXCESSIVE_MESSAGE_SIZE": TOO_LARGE,
    "UNEXPECTED_EOF_WHILE_READING": CLOSED,
    "Closed before TLS handshake with data in recv buffer.": RESET,
}

_ALERT: Final = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(\w+)")
_ALERTS_OF_DISTRUST: Final = {
    "UNKNOWN_CA",
    "BAD_CERTIFICATE",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "UNSUPPORTED_CERTIFICATE",
}
_MAX_SUBJECT: Final = 256
_MAX_SERIAL: Final = 40
"""Hex digits (RFC 5280 §4.1.2.2)."""


class ImpatientError(TimeoutError):
    """The client was not waited for until the deadline; the message says why."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What the certificate of a refused client says; whether the client holds its key is not known."""

    subject: str
    """RFC 4514, cut off after 256 characters."""
    serial: str
    """Lower-case hex without leading zeros."""
    not_after: datetime


def explain(error: OSError, deadline: float) -> str:
    """Say in words why a handshake failed.

    Args:
        error: what the handshake raised; TimeoutError when it did not end in time.
        deadline: how long a handshake may take, in seconds.
    """
    match error:
        case ssl.SSLCertVerificationError():
            return str(error.verify_message)
        case TimeoutError():
            early = isinstance(error, ImpatientError)
            return str(error) if early else f"handshake took longer than {deadline:g} s"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return CLOSED
        case ssl.SSLError():
            return _explain_reason(error.reason or "") or _explain_library(error)
        case ConnectionError() | OSError(errno=errno.ENOTCONN):
            return RESET
    return f"the connection failed: {error.strerror}"


def _explain_reason(reason: str) -> str:
    """Translate OpenSSL's name of an error; TLSV1_ALERT_UNKNOWN_CA, for example, is an alert received."""
    received = _ALERT.fullmatch(reason)
    if received is None:
        return _WORDS.get(reason, _plain(reason))
    alert = received[1]
    return DISTRUSTED if alert in _ALERTS_OF_DISTRUST else f"client sent the alert {_plain(alert)}"


def _explain_library(error: ssl.SSLError) -> str:
    """Name what has no reason: an error in another of OpenSSL's libraries, or a strange alert."""
    return UNPARSABLE if "ASN1" in str(error) else "unknown error"


def _plain(name: str) -> str:
    return name.replace("_", " ").lower()


def read_presented(leaf_der: bytes) -> Presented | None:
    """Read what a refused client's certificate says of itself; None when it cannot be parsed."""
    try:
        certificate = x509.load_der_x509_certificate(leaf_der)
        return Presented(
            subject=certificate.subject.rfc4514_string()[:_MAX_SUBJECT],
            serial=f"{certificate.serial_number:x}"[:_MAX_SERIAL],
            not_after=certificate.not_valid_after_utc,
        )
    except Exception:  # noqa: BLE001 - a hostile certificate makes the parser raise errors of many kinds
        return None
