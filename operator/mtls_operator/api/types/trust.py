"""Certificates, the authorities that sign them, and whom a service serves."""

from typing import Annotated, Literal

from mtls_operator.api.rules import authorization, lifetimes, values
from mtls_operator.api.scalars import (
    CommonName,
    DnsName,
    Duration,
    Fingerprint,
    HostName,
    IpAddress,
    KeySize,
    Label,
    Method,
    Path,
    Propagation,
    ReferenceName,
    Roles,
    SpiffeId,
    Tenant,
    TrustDomain,
    TrustName,
    Uri,
)
from mtls_operator.api.schema import items, ruled
from mtls_operator.api.types.model import KeyReference, Model


class PrivateKey(Model, json_schema_extra=ruled(values.KEY_SIZE)):
    """The kind of private key."""

    algorithm: Literal["ECDSA", "RSA", "Ed25519"] | None = None
    """Algorithm of the key. Default: ECDSA."""
    size: KeySize | None = None
    """Bits of the key: 256 (default) or 384 for ECDSA, 2048 (default) to 4096 for RSA, none for Ed25519."""


class Certificates(Model, json_schema_extra=ruled(lifetimes.SHORTEST_CERTIFICATE, lifetimes.RENEW_BEFORE)):
    """How certificates are issued."""

    duration: Duration | None = None
    """How long a certificate holds; at least 60s, with backend `none` at least 10m. Default: 24h."""
    renew_before: Duration | None = None
    """How long before its end a certificate is renewed. Default: half of its duration, a third beyond 24h."""
    private_key: PrivateKey = PrivateKey()
    """The kind of key of every certificate; a new key is made at every renewal."""
    dns_names: Annotated[tuple[DnsName, ...], items(64, unique=True)] = ()
    """Further DNS names of the server."""
    ip_addresses: Annotated[tuple[IpAddress, ...], items(64, unique=True)] = ()
    """IP addresses of the server."""
    trust_domain: TrustDomain | None = None
    """Trust domain of the clients' SPIFFE ids. Default: cluster.local."""


class GeneratedAuthority(Model):
    """An authority that the operator makes and rotates."""

    duration: Duration | None = None
    """How long a generation of the authority holds. Default: 720h."""


class AuthoritySecretReference(Model):
    """A Secret with a CA of the user's own; it carries the label `mtls-operator.io/use: authority`."""

    name: ReferenceName
    """Name of the Secret, of type kubernetes.io/tls."""


class AuthoritySource(Model, json_schema_extra=ruled(authorization.AUTHORITY_SOURCE)):
    """Where an authority comes from: at most one of its fields."""

    generated: GeneratedAuthority | None = None
    """The operator makes and rotates it. This is the default."""
    secret_ref: AuthoritySecretReference | None = None
    """A CA of the user's own."""


class Authority(Model):
    """The two authorities of a service."""

    server: AuthoritySource = AuthoritySource()
    """Signs servers; callers trust it."""
    client: AuthoritySource = AuthoritySource()
    """Signs callers; the server trusts it."""
    propagation: Propagation | None = None
    """How long callers get to pick up a new trust bundle.

    Default: the longest duration of a client's certificate, at most a quarter of the authority's.
    """


class TrustSource(Model, json_schema_extra=ruled(authorization.TRUST_SOURCE)):
    """Further CAs whose client certificates are accepted; exactly one of the references."""

    name: TrustName
    """Name of the source; rules of `authorization` refer to it."""
    config_map_ref: KeyReference | None = None
    """A ConfigMap with PEM certificates; it carries the label `mtls-operator.io/use: trust`."""
    secret_ref: KeyReference | None = None
    """A Secret with PEM certificates; it carries the label `mtls-operator.io/use: trust`."""


class AuthorizationRule(Model, json_schema_extra=ruled(authorization.IDENTITY, authorization.DENY)):
    """Whom one certificate stands for: exactly one of spiffeId, uri, dns, cn and fingerprint."""

    source: Label | None = None
    """Which CA must have signed: `own`, or the name of a `trust` entry. Default: own."""
    spiffe_id: SpiffeId | None = None
    """SPIFFE id; `*` stands for one whole segment of its path."""
    uri: Uri | None = None
    """URI in the subject alternative name."""
    dns: HostName | None = None
    """DNS name in the subject alternative name, in lower case."""
    cn: CommonName | None = None
    """Common name of the subject."""
    fingerprint: Fingerprint | None = None
    """SHA-256 of the certificate, in lower-case hex."""
    roles: Roles = ()
    """Roles that the application is told."""
    tenant: Tenant | None = None
    """Tenant that the application is told."""
    deny: bool = False
    """Whether the caller is refused; wins over every other rule. Default: false."""


class AuthorizationRoute(Model):
    """Who may send which requests."""

    path: Path
    """Path; `*` stands for one whole segment, `**` for any number of them at the end."""
    methods: Annotated[tuple[Method, ...], items(16, unique=True)] = ()
    """Methods. Default: all."""
    roles: Roles = ()
    """Roles of which the caller must have one. Default: everybody who is known."""


class Authorization(Model):
    """Who is served beyond `clients`, and which requests are allowed."""

    rules: Annotated[tuple[AuthorizationRule, ...], items(256)] = ()
    """Whom certificates stand for."""
    routes: Annotated[tuple[AuthorizationRoute, ...], items(256)] = ()
    """Who may send which requests. Default: everybody who is known, all of them."""


class TLSSettings(Model):
    """How strict the server is with TLS."""

    min_version: Literal["1.3", "1.2"] = "1.3"
    """Lowest version of TLS. Default: 1.3."""
    x509_strict: bool = True
    """Whether certificates that do not follow RFC 5280 strictly are refused. Default: true."""
