"""Certificates in PEM: written, read within bounds, and named by fingerprint."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

MAX_CERTIFICATES: Final = 64
MAX_BUNDLE_BYTES: Final = 256 * 1024
MAX_REMEMBERED: Final = 4096
MAX_REMEMBERED_BYTES: Final = 4 * 1024
"""Bundles up to this size are parsed once: a chain, or the few generations of an authority."""

_BEGIN: Final = re.compile(rb"-----BEGIN ([^-\r\n]*)-----")


def encode_bundle(certificates: Iterable[x509.Certificate]) -> bytes:
    """Write certificates in PEM, one after the other."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def decode_bundle(
    pem: bytes, limit: int = MAX_CERTIFICATES, max_bytes: int = MAX_BUNDLE_BYTES
) -> tuple[x509.Certificate, ...]:
    """Read one or more certificates in PEM, each to its last part; text between them is skipped (RFC 7468).

    Args:
        pem: what is stored.
        limit: most certificates that are read.
        max_bytes: most bytes that are looked at.

    Raises:
        ValueError: none, too many, a block that is not a certificate, or one that can not be parsed; says
            which, without repeating any of it.
    """
    if len(pem) > max_bytes:
        msg = f"the certificates are {len(pem)} bytes long; at most {max_bytes} are read"
        raise ValueError(msg)
    return _decode(pem, limit) if len(pem) <= MAX_REMEMBERED_BYTES else _decode.__wrapped__(pem, limit)


@lru_cache(maxsize=MAX_REMEMBERED)
def _decode(pem: bytes, limit: int) -> tuple[x509.Certificate, ...]:
    """Read what is short enough; the same few bundles are read at every pass over a service."""
    labels = _BEGIN.findall(pem)
    if not labels:
        msg = "there is no certificate; store one in PEM, beginning with BEGIN CERTIFICATE"
        raise ValueError(msg)
    if len(labels) > limit:
        msg = f"there are {len(labels)} certificates; at most {limit} are read"
        raise ValueError(msg)
    if set(labels) != {b"CERTIFICATE"}:
        msg = "there is something else than certificates; leave only the CERTIFICATE blocks"
        raise ValueError(msg)
    try:
        certificates = tuple(x509.load_pem_x509_certificates(pem))
        for certificate in certificates:
            _read_every_part(certificate)
    except Exception:  # noqa: BLE001 - the parser raises errors of many kinds
        certificates = ()
    if len(certificates) != len(labels):
        msg = "there is a CERTIFICATE block that can not be read as an X.509 certificate"
        raise ValueError(msg)
    return certificates


def decode_anchors(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read trust anchors as we write them: a full bundle of others, and our own authorities beside it.

    Raises:
        ValueError: as `decode_bundle` does.
    """
    return decode_bundle(pem, 2 * MAX_CERTIFICATES, 2 * MAX_BUNDLE_BYTES)


def _read_every_part(certificate: x509.Certificate) -> None:
    """Parse now what `cryptography` would parse, and refuse, only when it is looked at."""
    certificate.public_key()
    for part in ("subject", "issuer", "extensions", "not_valid_before_utc", "not_valid_after_utc"):
        getattr(certificate, part)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the whole certificate (DER), lower-case hex."""
    return certificate.fingerprint(SHA256()).hex()
