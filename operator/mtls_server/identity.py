"""Who a certificate says its holder is. Nothing is normalised here, only refused."""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Reason(StrEnum):
    """Why a peer that passed the handshake is not served; part of the interface, so never renamed."""

    UNPARSABLE = "unparsable"
    NO_CLIENT_AUTH = "no_client_auth"
    SEVERAL_URIS = "several_uris"
    BAD_SPIFFE_ID = "bad_spiffe_id"
    EXPIRED = "expired"
    NOT_VERIFIED = "not_verified"
    DISTRUSTED = "distrusted"
    UNKNOWN_SOURCE = "unknown_source"
    REVOKED = "revoked"
    DENIED = "denied"
    UNKNOWN_CLIENT = "unknown_client"
    TOO_MANY_CONNECTIONS = "too_many_connections"


class Refusal(msgspec.Struct, frozen=True):
    """The answer to a peer that is not served."""

    reason: Reason
    message: str
    by: str = "default"
    """Which part of the policy refuses: ``revoked``, a rule such as ``rules[2]``, else it grants nothing."""


class RefusedError(Exception):
    """The peer is not served, for the reason given."""

    def __init__(self, reason: Reason, message: str, by: str = "default") -> None:
        super().__init__(message)
        self.refusal = Refusal(reason, message, by)


class Name(msgspec.Struct, frozen=True):
    """A subject or issuer."""

    cn: str | None
    """The common name, where there is exactly one, it holds no NUL, and everybody reads it alike."""
    dn: str
    """The whole name as RFC 4514 writes it."""


class Tls(msgspec.Struct, frozen=True):
    """The connection's protocol version (``TLSv1.3``) and cipher suite, as OpenSSL names them."""

    version: str
    cipher: str


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says of its holder, and what the policy grants; its JSON is what callers see."""

    subject: Name
    issuer: Name
    serial: str
    """Lower-case hex without leading zeros."""
    valid_from: datetime
    valid_to: datetime
    fingerprint_sha256: str
    """Of the certificate, DER: ``AA:BB:…``, as openssl and Node print it."""
    spiffe_id: str | None
    uri: str | None
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    email_addresses: tuple[str, ...]
    client: str | None = None
    """The plain name that the policy gives this caller."""
    source: str | None = None
    """Which authority vouches for the caller: ``own``, or the name of a further trust source."""
    roles: tuple[str, ...] = ()
    tenant: str | None = None
    tls: Tls | None = None

    @property
    def caller(self) -> tuple[object, ...]:
        """What stays the same of a caller whose certificate is renewed, and differs from any other's."""
        return self.source, self.uri or (self.subject.dn, self.dns_names)


_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_MAX_SPIFFE_ID: Final = 2048
_UNICODE: Final = re.compile(rb"\x55\x04\x03[\x0c\x1c\x1e]")
"""A common name (DER) as UTF8String, UniversalString or BMPString. What others hold beyond ASCII, such as
TeletexString, is UTF-8 to some, and Latin-1 to OpenSSL."""


def parse(leaf_der: bytes) -> Identity:
    """Read the certificate of a peer.

    Raises:
        RefusedError: it must not be used as a client's, or says who its holder is in an ambiguous way.
        Exception: it cannot be parsed (cryptography raises many kinds).
    """
    certificate = x509.load_der_x509_certificate(leaf_der)
    extensions = certificate.extensions
    _require_client_auth(extensions)
    names = _alternative_names(extensions)
    uri = _only_uri(names.get_values_for_type(x509.UniformResourceIdentifier))
    return Identity(
        subject=_name(certificate.subject),
        issuer=_name(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        valid_from=certificate.not_valid_before_utc,
        valid_to=certificate.not_valid_after_utc,
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        spiffe_id=_spiffe_id(uri),
        uri=uri,
        dns_names=tuple(names.get_values_for_type(x509.DNSName)),
        ip_addresses=tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        email_addresses=tuple(names.get_values_for_type(x509.RFC822Name)),
    )


def _require_client_auth(extensions: x509.Extensions) -> None:
    """OpenSSL accepts a certificate without extended key usage for every use; we do not."""
    try:
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usages = x509.ExtendedKeyUsage([])
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise RefusedError(
            Reason.NO_CLIENT_AUTH,
            "the certificate is not for clients: its extended key usage lacks clientAuth",
        )


def _alternative_names(extensions: x509.Extensions) -> x509.SubjectAlternativeName:
    try:
        return extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _only_uri(uris: Sequence[str]) -> str | None:
    if len(uris) > 1:
        raise RefusedError(
            Reason.SEVERAL_URIS, f"the certificate carries {len(uris)} URI names; an identity is exactly one"
        )
    return uris[0] if uris else None


def _spiffe_id(uri: str | None) -> str | None:
    """Return the URI when it is a SPIFFE ID of a workload (SPIFFE-ID §2, X509-SVID §2 and §3.1)."""
    if uri is None or uri[:7].lower() != "spiffe:":
        return None
    domain, *segments = uri.removeprefix("spiffe://").split("/")
    well_formed = (
        uri.startswith("spiffe://")
        and len(uri) <= _MAX_SPIFFE_ID
        and _TRUST_DOMAIN.fullmatch(domain)
        and segments
        and all(_SEGMENT.fullmatch(segment) and segment not in {".", ".."} for segment in segments)
    )
    if not well_formed:
        raise RefusedError(
            Reason.BAD_SPIFFE_ID,
            "the certificate's SPIFFE ID is malformed; write spiffe://<trust domain in lower case>/<path>"
            " without port, query, fragment, '%', or empty, '.' or '..' segments",
        )
    return uri


def _name(name: x509.Name) -> Name:
    return Name(cn=_common_name(name), dn=name.rfc4514_string())


def _common_name(name: x509.Name) -> str | None:
    values = [attribute.value for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(values) != 1 or not isinstance(values[0], str) or "\0" in values[0]:
        return None
    if not values[0].isascii() and not _UNICODE.search(name.public_bytes()):
        return None
    return values[0]
