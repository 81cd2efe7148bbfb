"""Why files are refused: a reason for the metrics, and a sentence that says what to mend."""

from datetime import datetime
from enum import StrEnum

from mtls_server.contract import CERTIFICATE


class Fault(StrEnum):
    """Why files are refused, as the metrics name it."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    KEY_MISMATCH = "key_mismatch"
    BROKEN_CHAIN = "broken_chain"
    NO_SERVER_AUTH = "no_server_auth"
    NAMES_NOT_COVERED = "names_not_covered"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    NOT_AN_AUTHORITY = "not_an_authority"
    WEAK_AUTHORITY = "weak_authority"
    NOT_STRICT = "not_strict"
    POLICY = "policy"
    TLS = "tls"
    UNEXPECTED = "unexpected"


class MaterialError(Exception):
    """The files cannot serve; the message says why, and never what they contain."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class NotYetValidError(MaterialError):
    """The certificate's time has not come; the files are good from ``not_before`` on."""

    def __init__(self, not_before: datetime) -> None:
        super().__init__(
            Fault.NOT_YET_VALID, f"the certificate in {CERTIFICATE} is not valid before {not_before:%FT%TZ}"
        )
        self.not_before = not_before
