"""The types of the API. CRDs and reference are generated from them; the API server enforces the bounds.

Parsing is lenient on purpose: an object stored under an older or a newer schema must still be understood,
so fields that are not known are ignored, and lengths, patterns and rules (`rules`) exist in the schema only.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from mtls_operator.api.rules import authorization, backends, lifetimes, values
from mtls_operator.api.scalars import (
    Annotations,
    Application,
    Cidr,
    ClientLimit,
    CommonName,
    Count,
    DnsName,
    Duration,
    ExtraPort,
    Fingerprint,
    Generation,
    Hex,
    HostName,
    Image,
    IpAddress,
    KeySize,
    Label,
    LabelKey,
    LabelValue,
    MatchLabels,
    Method,
    Moment,
    ObjectName,
    Path,
    Port,
    Propagation,
    ReferenceName,
    Replicas,
    Roles,
    SecretName,
    Sentence,
    SpiffeId,
    Template,
    Tenant,
    Timeout,
    TrustDomain,
    TrustName,
    UpstreamUrl,
    Uri,
    Word,
)
from mtls_operator.api.schema import items, ruled


def _json_name(field: str) -> str:
    return to_camel(field.rstrip("_"))


class Model(BaseModel):
    """A part of an object: camelCase in JSON, snake_case in Python, never changed once parsed."""

    model_config = ConfigDict(
        alias_generator=_json_name,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class IdentityBackend(Model):
    """Answers every request with who the caller is, as JSON."""


class AsgiBackend(Model):
    """An ASGI application of the server image."""

    app: Application
    """Where the application is: `module:attribute`, such as `shop.orders:app`."""


class WsgiBackend(Model):
    """A WSGI application of the server image."""

    app: Application
    """Where the application is: `module:attribute`, such as `shop.orders:app`."""


class UpstreamTimeouts(Model):
    """How long the reverse proxy waits for the server behind it."""

    connect: Timeout | None = None
    """For a connection. Default: 5s."""
    response: Timeout | None = None
    """For the head of the response. Default: 60s."""
    idle: Timeout | None = None
    """For the next bytes of a body. Default: 60s."""


class UpstreamBackend(Model, json_schema_extra=ruled(backends.UPSTREAM_EXPOSED)):
    """An HTTP/1.1 server that requests are passed on to."""

    url: UpstreamUrl
    """Where the server listens, such as `http://127.0.0.1:8080`."""
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    """How long to wait for it."""
    insecure_acknowledged: bool = False
    """Must be true where `url` is not loopback: who reaches it passes mTLS by. Default: false."""


class NoBackend(Model):
    """Certificates only: no Deployment, no Service."""


class Backend(Model, json_schema_extra=ruled(backends.ONE_BACKEND)):
    """What stands behind mTLS: exactly one of its fields."""

    identity: IdentityBackend | None = None
    """Answers who the caller is, as JSON."""
    asgi: AsgiBackend | None = None
    """An ASGI application of the server image."""
    wsgi: WsgiBackend | None = None
    """A WSGI application of the server image."""
    upstream: UpstreamBackend | None = None
    """A reverse proxy to an HTTP/1.1 server."""
    none: NoBackend | None = None
    """Certificates only: no Deployment, no Service. A server of the user's own mounts the Secret."""


class ServiceSettings(Model):
    """The Service in front of the server."""

    type: Literal["ClusterIP", "LoadBalancer", "NodePort"] = "ClusterIP"
    """Type of the Service. Default: ClusterIP."""
    annotations: Annotations = {}
    """Annotations of the Service, such as those that a cloud's load balancer reads."""


class Route(Model):
    """An OpenShift Route with passthrough, where that API exists."""

    enabled: bool = False
    """Whether there is a Route. Default: false."""
    host: DnsName | None = None
    """Host of the Route; it joins the server's names. Default: chosen by the router."""


class LabelSelectorRequirement(Model, json_schema_extra=ruled(values.SELECTOR_VALUES)):
    """One requirement on a label."""

    key: LabelKey
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How key and values relate."""
    values: Annotated[tuple[LabelValue, ...], items(32)] | None = None
    """Values, for In and NotIn."""


class LabelSelector(Model):
    """A choice by labels; an empty one chooses all."""

    match_labels: MatchLabels | None = None
    """Labels that must have these values."""
    match_expressions: Annotated[tuple[LabelSelectorRequirement, ...], items(32)] | None = None
    """Requirements that must all hold."""


class IPBlock(Model):
    """A range of addresses."""

    cidr: Cidr
    """The range, such as `10.0.0.0/8`."""
    except_: Annotated[tuple[Cidr, ...], items(32)] | None = None
    """Ranges within it that are left out."""


class NetworkPolicyPeer(Model, json_schema_extra=ruled(values.NETWORK_POLICY_PEER)):
    """Who may connect, as in a NetworkPolicy; dump it with aliases and without None."""

    pod_selector: LabelSelector | None = None
    """Pods with these labels; of this namespace, unless `namespaceSelector` is given."""
    namespace_selector: LabelSelector | None = None
    """Namespaces with these labels."""
    ip_block: IPBlock | None = None
    """A range of addresses; not together with the selectors."""


class NetworkPolicyPort(Model):
    """A further port, such as that of a sidecar."""

    port: ExtraPort
    """Number of the port."""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """Protocol of the port. Default: TCP."""


class NetworkPolicySettings(Model):
    """The NetworkPolicy around the server's pods."""

    enabled: bool = True
    """Whether there is a NetworkPolicy. Default: true."""
    from_: Annotated[tuple[NetworkPolicyPeer, ...], items(32)] = ()
    """Who may connect to `port` and `extraPorts`. Default: everybody, since mTLS decides."""
    extra_ports: Annotated[tuple[NetworkPolicyPort, ...], items(32)] = ()
    """Further ports that are admitted, such as those of sidecars."""


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


class KeyReference(Model):
    """One key of a Secret or ConfigMap."""

    name: ReferenceName
    """Name of the object, in this namespace."""
    key: ObjectName
    """Key of its data."""


class TrustSource(Model, json_schema_extra=ruled(authorization.TRUST_SOURCE)):
    """Further CAs whose client certificates are accepted; exactly one of the references."""

    name: TrustName
    """Name of the source; rules of `authorization` refer to it."""
    config_map_ref: KeyReference | None = None
    """A ConfigMap with PEM certificates; it carries the label `mtls-operator.io/use: trust`."""
    secret_ref: KeyReference | None = None
    """A Secret with PEM certificates; it carries the label `mtls-operator.io/use: trust`."""


class ClientFormat(Model):
    """A further format of a client's key and certificate."""

    type: Literal["PKCS12"]
    """The format."""
    password_secret_ref: KeyReference
    """The password that protects it; the Secret carries the label `mtls-operator.io/use: password`."""


class Workload(Model):
    """A workload of this namespace that is rolled after each renewal."""

    kind: Literal["Deployment", "StatefulSet", "DaemonSet"]
    """Kind of the workload."""
    name: ReferenceName
    """Name of the workload."""


class Client(Model, json_schema_extra=ruled(lifetimes.SHORTEST_CERTIFICATE)):
    """A caller; its certificate lies in the Secret `<service>-client-<name>` of this namespace."""

    name: Label
    """Name of the client; common name of its certificate and last part of its SPIFFE id."""
    roles: Roles = ()
    """Roles that the application is told."""
    tenant: Tenant | None = None
    """Tenant that the application is told."""
    duration: Duration | None = None
    """How long its certificate holds; at least 10m. Default: that of `certificates`, but at least 10m.

    The annotation `mtls-operator.io/allow-short-lived: "true"` lifts the limit to 60s, for callers that read
    the Secret through the API.
    """
    revoked: bool = False
    """Whether its certificates are refused. Default: false."""
    formats: Annotated[tuple[ClientFormat, ...], items(4, by="type")] = ()
    """Further formats of its key and certificate in the Secret."""
    restart: Annotated[tuple[Workload, ...], items(16)] = ()
    """Workloads that are rolled after each renewal, for programs that read files once."""


class ClientNamespace(Model):
    """Consent for the MTLSClients of another namespace."""

    namespace: Label
    """Name of the namespace."""
    roles: Roles = ()
    """Roles of every client there."""
    tenant: Tenant | None = None
    """Tenant of every client there."""
    max_clients: ClientLimit | None = None
    """How many MTLSClients of that namespace are served. Default: 50."""


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


class MTLSServiceSpec(
    Model,
    json_schema_extra=ruled(
        lifetimes.SHORTEST_CERTIFICATE_OF_OTHERS,
        *lifetimes.SERVER_AUTHORITY,
        *lifetimes.CLIENT_AUTHORITY,
        *backends.NOT_WITH_NONE,
        backends.RESTART,
        backends.ROUTE,
        authorization.KNOWN_SOURCE,
    ),
):
    """What is wanted."""

    replicas: Replicas = 2
    """Number of server pods. Default: 2."""
    port: Port = 8443
    """Port of the Service and of the server. Default: 8443."""
    backend: Backend | None = None
    """What stands behind mTLS. Default: `identity: {}`, which answers who the caller is."""
    image: Image | None = None
    """Image of the server, built FROM the release's own to add an application. Default: the release's own."""
    template: Template = {}
    """A partial PodTemplateSpec, merged over the generated one: sidecars, volumes, env, scheduling."""
    service: ServiceSettings = ServiceSettings()
    """The Service in front of the server."""
    route: Route = Route()
    """An OpenShift Route with passthrough, where that API exists."""
    network_policy: NetworkPolicySettings = NetworkPolicySettings()
    """The NetworkPolicy around the server's pods."""
    certificates: Certificates = Certificates()
    """How certificates are issued."""
    authority: Authority = Authority()
    """The two authorities that sign them."""
    trust: Annotated[tuple[TrustSource, ...], items(64, by="name")] = ()
    """Further CAs whose client certificates are accepted, subject to `authorization`."""
    clients: Annotated[tuple[Client, ...], items(1000, by="name")] = ()
    """Callers; each gets a Secret with its certificate in this namespace."""
    client_namespaces: Annotated[tuple[ClientNamespace, ...], items(100, by="namespace")] = ()
    """Consent for callers in other namespaces."""
    restart: Annotated[tuple[Workload, ...], items(16)] = ()
    """Workloads that are rolled after each renewal of the server's Secret; for backend `none` only."""
    authorization: Authorization = Authorization()
    """Who is served beyond `clients`, and which requests are allowed."""
    tls: TLSSettings = TLSSettings()
    """How strict the server is with TLS."""
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    """What becomes of the Secrets when this object is deleted. Default: Delete."""

    @property
    def backend_or_default(self) -> Backend:
        """Return the backend, `identity` where none is chosen."""
        return self.backend or Backend(identity=IdentityBackend())

    @property
    def certificates_only(self) -> bool:
        """Tell whether the user runs the server: no Deployment, no Service."""
        return self.backend_or_default.none is not None


class Condition(Model):
    """One aspect of the state, as the API conventions of Kubernetes have it."""

    type: Word
    """Name of the aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: Generation | None = None
    """Generation of the spec that it speaks of."""
    last_transition_time: Moment
    """When `status` last changed."""
    reason: Word
    """Why, in one word."""
    message: Sentence
    """Why, in a sentence."""


class ServerCertificateStatus(Model):
    """The server certificate in the Secret."""

    secret_name: ObjectName | None = None
    """Name of the Secret."""
    serial: Hex | None = None
    """Serial number, in lower-case hex."""
    not_before: Moment | None = None
    """Start of its validity."""
    not_after: Moment | None = None
    """End of its validity."""
    renewal_time: Moment | None = None
    """When it is renewed."""
    last_reason: Sentence | None = None
    """Why it was last issued."""


class ClientStatus(Model):
    """The certificate of one client."""

    name: ObjectName
    """Name of the client."""
    secret_name: ObjectName | None = None
    """Name of the Secret."""
    ready: bool = False
    """Whether the Secret holds a certificate that serves."""
    reason: Word | None = None
    """Why it is not ready, or why it was last issued."""
    message: Sentence | None = None
    """The same in a sentence."""
    serial: Hex | None = None
    """Serial number, in lower-case hex."""
    not_after: Moment | None = None
    """End of its validity."""
    renewal_time: Moment | None = None
    """When it is renewed."""


class AuthorityStatus(Model):
    """One authority: its generation that signs."""

    fingerprint: Hex | None = None
    """SHA-256 of its certificate, in lower-case hex."""
    not_before: Moment | None = None
    """Start of its validity."""
    not_after: Moment | None = None
    """End of its validity."""
    anchors: Annotated[tuple[Hex, ...], items(16)] = ()
    """SHA-256 of every CA certificate that is trusted with it, while it rotates."""


class AuthoritiesStatus(Model):
    """The two authorities."""

    server: AuthorityStatus | None = None
    """Signs servers; callers trust it."""
    client: AuthorityStatus | None = None
    """Signs callers; the server trusts it."""


class MTLSServiceStatus(Model):
    """What is; written by the operator only."""

    observed_generation: Generation | None = None
    """Generation of the spec that was last acted upon."""
    conditions: Annotated[tuple[Condition, ...], items(32, by="type")] = ()
    """Ready, Reconciling, Stalled, CertificatesIssued, TrustPropagated, AuthorityRotating, Available."""
    server_certificate: ServerCertificateStatus | None = None
    """The server certificate in the Secret."""
    clients: Annotated[tuple[ClientStatus, ...], items(50)] = ()
    """At most 50 clients: those that fail first, then those that expire soonest."""
    clients_total: Count | None = None
    """Number of clients."""
    clients_ready: Count | None = None
    """Number of clients whose certificate serves."""
    next_expiry: Moment | None = None
    """Soonest end of validity of any certificate."""
    authorities: AuthoritiesStatus | None = None
    """The two authorities."""
    replicas: Count | None = None
    """Number of server pods."""
    selector: Sentence | None = None
    """Label selector of the server pods, for autoscalers."""
    server_version: Word | None = None
    """Version of the server that the pods run."""
    instance: Word | None = None
    """Installation of the operator that cares for this object: `<namespace>/<name>`."""


class Metadata(Model):
    """What the operator reads of an object's metadata."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class MTLSService(Model):
    """Mutual TLS for a service and its callers: certificates, their rotation, a server that demands them."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: MTLSServiceSpec = MTLSServiceSpec()
    """What is wanted."""
    status: MTLSServiceStatus | None = None
    """What is; written by the operator only."""


class ServiceReference(Model, json_schema_extra=ruled(values.IMMUTABLE_REFERENCE)):
    """An MTLSService, here or in another namespace."""

    name: Label
    """Name of the MTLSService."""
    namespace: Label
    """Namespace of the MTLSService."""


class MTLSClientSpec(Model, json_schema_extra=ruled(lifetimes.SHORTEST_CERTIFICATE)):
    """What is wanted."""

    service_ref: ServiceReference
    """The MTLSService that is called; its `clientNamespaces` must list this namespace. It does not change."""
    secret_name: SecretName
    """Name of the Secret with the certificate, in this namespace."""
    duration: Duration | None = None
    """How long the certificate holds; at least 10m. Default: that of the service, but at least 10m."""
    formats: Annotated[tuple[ClientFormat, ...], items(4, by="type")] = ()
    """Further formats of key and certificate in the Secret."""
    restart: Annotated[tuple[Workload, ...], items(16)] = ()
    """Workloads that are rolled after each renewal, for programs that read files once."""


class MTLSClientStatus(Model):
    """What is; written by the operator only."""

    observed_generation: Generation | None = None
    """Generation of the spec that was last acted upon."""
    conditions: Annotated[tuple[Condition, ...], items(32, by="type")] = ()
    """Ready, with the reason where it is not."""
    secret_name: ObjectName | None = None
    """Name of the Secret."""
    serial: Hex | None = None
    """Serial number, in lower-case hex."""
    not_before: Moment | None = None
    """Start of its validity."""
    not_after: Moment | None = None
    """End of its validity."""
    renewal_time: Moment | None = None
    """When it is renewed."""
    last_reason: Sentence | None = None
    """Why it was last issued."""
    instance: Word | None = None
    """Installation of the operator that cares for this object: `<namespace>/<name>`."""


class MTLSClient(Model):
    """A caller of an MTLSService of another namespace: its certificate, and its rotation."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: MTLSClientSpec
    """What is wanted."""
    status: MTLSClientStatus | None = None
    """What is; written by the operator only."""
