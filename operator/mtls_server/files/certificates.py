"""Certificates of a mounted file, parsed within bounds."""

from typing import Final, TypeVar

from cryptography import x509

from mtls_server.files.faults import Fault, MaterialError

MAX_CERTIFICATES: Final = 512

Extension = TypeVar("Extension", bound=x509.ExtensionType)


def read_certificates(file: str, pem: bytes) -> tuple[x509.Certificate, ...]:
    """Parse the certificates of a file, every part of them.

    Args:
        file: its name.
        pem: its contents.

    Raises:
        MaterialError: it holds none, or others, or too many.
    """
    try:
        certificates = tuple(x509.load_pem_x509_certificates(pem))
        for certificate in certificates:
            _read_every_part(certificate)
    except Exception:  # noqa: BLE001 - the parser raises errors of many kinds
        raise MaterialError(
            Fault.UNREADABLE, f"{file} does not hold PEM certificates that can be parsed"
        ) from None
    if len(certificates) > MAX_CERTIFICATES:
        raise MaterialError(
            Fault.UNREADABLE,
            f"{file} holds {len(certificates)} certificates; at most {MAX_CERTIFICATES} are read",
        )
    return certificates


def _read_every_part(certificate: x509.Certificate) -> None:
    """Parse now what would be parsed, and perhaps refused, only when it is looked at."""
    certificate.public_key()
    for part in ("subject", "issuer", "extensions", "not_valid_before_utc", "not_valid_after_utc"):
        getattr(certificate, part)


def extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    """Return an extension of a certificate, if it has that."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
