"""Leaf certificates: what they say, and how an authority signs them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from .authority import MAX_COMMON_NAME, Authority, Role
from .entropy import Entropy
from .keys import DEFAULT_KEY, KeyProfile, PrivateKey, signing_hash
from .validity import Validity, rfc3339

IPAddress: TypeAlias = IPv4Address | IPv6Address

USAGES: Final[dict[Role, ObjectIdentifier]] = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True, slots=True)
class LeafProfile:
    """What a leaf certificate says of its holder.

    Raises:
        ValueError: it says nothing, or something that is not ASCII.
    """

    role: Role
    common_name: str
    """Empty: the subject is empty, and the holder known by its alternative names only."""
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[IPAddress, ...] = ()
    uri: str | None = None
    key: KeyProfile = DEFAULT_KEY

    def __post_init__(self) -> None:
        if not (self.dns_names or self.ip_addresses or self.uri):
            msg = f"a {self.role} certificate needs a DNS name, an IP address or a URI"
            raise ValueError(msg)
        for name in (*self.dns_names, self.uri or ""):
            if not name.isascii():
                msg = f"{name!r} is not ASCII; write international names in their xn-- form"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey


def server_profile(
    names: Iterable[str], ip_addresses: Iterable[str | IPAddress], key: KeyProfile
) -> LeafProfile:
    """Describe a server; its common name is the first DNS name that is short enough for one.

    Args:
        names: DNS names, the preferred one first.
        ip_addresses: without zones (``%eth0``), which certificates can not carry.
        key: kind of its key.

    Raises:
        ValueError: not an IP address, or one with a zone; or as `LeafProfile` does.
    """
    dns_names = tuple(dict.fromkeys(names))
    addresses = tuple(dict.fromkeys(_address(text) for text in ip_addresses))
    common_name = next((name for name in dns_names if len(name) <= MAX_COMMON_NAME), "")
    return LeafProfile("server", common_name, dns_names, addresses, key=key)


def client_profile(name: str, uri: str, key: KeyProfile) -> LeafProfile:
    """Describe a client: its plain name, for people, and the one URI that identifies it.

    Raises:
        ValueError: as `LeafProfile` does.
    """
    return LeafProfile("client", name if len(name) <= MAX_COMMON_NAME else "", uri=uri, key=key)


def issue_leaf(  # noqa: PLR0913 - all of them decide what the certificate says
    authority: Authority,
    profile: LeafProfile,
    duration: timedelta,
    now: datetime,
    entropy: Entropy,
    *,
    not_before: datetime | None = None,
) -> Leaf:
    """Sign a certificate for a new key.

    Args:
        authority: who signs.
        profile: what it says.
        duration: how long it holds from now, if its authority does.
        now: the time.
        entropy: source of its key and serial.
        not_before: it begins no sooner, since what began before is revoked.

    Raises:
        ValueError: the authority is of the other role or no longer holds, or it would end before it begins.
    """
    if profile.role != authority.role:
        msg = f"a {authority.role} authority signs no {profile.role} certificates"
        raise ValueError(msg)
    if authority.not_after <= now:
        msg = f"the {authority.role} authority expired at {rfc3339(authority.not_after)} and signs no more"
        raise ValueError(msg)
    validity = leaf_validity(authority, duration, now, not_before)
    if validity.not_before >= validity.not_after:
        revoked = rfc3339(validity.not_before)
        msg = f"certificates that begin before {revoked} are revoked, and one of now would have ended by then"
        raise ValueError(msg)
    key = entropy.key(profile.key)
    holder = subject(profile)
    certificate = (
        x509.CertificateBuilder(authority.certificate.subject, holder, key.public_key(), entropy.serial())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(key), critical=True)
        .add_extension(x509.ExtendedKeyUsage([USAGES[profile.role]]), critical=False)
        .add_extension(alternative_names(profile), critical=not list(holder))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_key_identifier(authority), critical=False)
        .sign(authority.key, signing_hash(authority.key))
    )
    return Leaf(certificate, key)


def leaf_validity(
    authority: Authority, duration: timedelta, now: datetime, not_before: datetime | None = None
) -> Validity:
    """Return the dates of a leaf signed now: never outside of its authority's, nor of those above it."""
    validity = Validity.starting(now, duration).within(authority.validity)
    return replace(validity, not_before=max(validity.not_before, not_before or validity.not_before))


def subject(profile: LeafProfile) -> x509.Name:
    """Return the subject of a leaf: its common name, if it has one."""
    common_name = profile.common_name
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def alternative_names(profile: LeafProfile) -> x509.SubjectAlternativeName:
    """Return the names a verifier goes by (RFC 9525)."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in profile.dns_names]
    names += [x509.IPAddress(address) for address in profile.ip_addresses]
    if profile.uri is not None:
        names.append(x509.UniformResourceIdentifier(profile.uri))
    return x509.SubjectAlternativeName(names)


def _address(text: str | IPAddress) -> IPAddress:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        msg = f"the IP address {address} has a zone; write it without %{address.scope_id}"
        raise ValueError(msg)
    return address


def _key_usage(key: PrivateKey) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=isinstance(key, RSAPrivateKey),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(authority: Authority) -> x509.AuthorityKeyIdentifier:
    extensions = authority.certificate.extensions
    subject_key = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key)
