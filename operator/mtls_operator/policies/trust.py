"""Which CAs of other people join our own? Pure decisions on certificates that were already parsed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from mtls_operator.pki.authority import spki_digest
from mtls_operator.pki.extensions import extension
from mtls_operator.pki.validity import rfc3339

from . import foreign

MAX_QUOTED: Final = 128
"""Most characters of a name in a message."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A CA that is trusted already, and the name of its source."""

    certificate: x509.Certificate
    source: str


def refusal(certificate: x509.Certificate, present: Sequence[Anchor], *, strict: bool) -> str | None:
    """Say why a CA must not be trusted, whatever else its source holds; None: it may.

    Args:
        certificate: of the CA, whose clients are to be served.
        present: what is trusted without it.
        strict: whether the server refuses what does not follow RFC 5280 to the letter.
    """
    problem = foreign.flaw(certificate, "client", strict=strict) or _mistakable(certificate, present)
    return f"{title(certificate)} {problem}" if problem else None


def omission(certificate: x509.Certificate, present: Sequence[Anchor], now: datetime) -> str | None:
    """Say why a CA adds nothing, and so is left out of its source; None: it does."""
    ends = certificate.not_valid_after_utc
    if ends <= now:
        return f"{title(certificate)} is left out, since it expired at {rfc3339(ends)}"
    key = spki_digest(certificate)
    holder = next((anchor.source for anchor in present if spki_digest(anchor.certificate) == key), None)
    return f"{title(certificate)} is left out, since it belongs to the source {holder!r}" if holder else None


def title(certificate: x509.Certificate) -> str:
    """Name a CA for people: its subject, in bounds and on one line."""
    return repr(certificate.subject.rfc4514_string()[:MAX_QUOTED])


def _mistakable(certificate: x509.Certificate, present: Sequence[Anchor]) -> str | None:
    """Two CAs must differ in what a verifier, or an acknowledgement, knows them by.

    OpenSSL takes the first that has the issuer's name and key identifier for the issuer of a leaf, and
    refuses the leaf when the signature is not that of its key. Pods acknowledge anchors by key identifier.
    """
    own_identifier, own_key = _identifier(certificate), spki_digest(certificate)
    for anchor in present:
        identifier = _identifier(anchor.certificate)
        known_apart = own_identifier and identifier
        alike = (
            own_identifier == identifier if known_apart else certificate.subject == anchor.certificate.subject
        )
        if alike and spki_digest(anchor.certificate) != own_key:
            return f"has the name or key identifier of a CA of the source {anchor.source!r}, and another key"
    return None


def _identifier(certificate: x509.Certificate) -> bytes | None:
    found = extension(certificate, x509.SubjectKeyIdentifier)
    return found.digest if found else None
