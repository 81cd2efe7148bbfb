"""The kind MTLSService."""

from typing import Annotated, Literal

from pydantic import Field

from mtls_operator.api.rules import authorization, backends, lifetimes
from mtls_operator.api.scalars import (
    Count,
    Generation,
    Hex,
    Image,
    Moment,
    ObjectName,
    Port,
    Replicas,
    Sentence,
    Template,
    Word,
)
from mtls_operator.api.schema import items, ruled
from mtls_operator.api.types.backend import Backend, IdentityBackend
from mtls_operator.api.types.client import Client, ClientNamespace, Workload
from mtls_operator.api.types.model import Condition, Metadata, Model
from mtls_operator.api.types.network import NetworkPolicySettings, Route, ServiceSettings
from mtls_operator.api.types.trust import Authority, Authorization, Certificates, TLSSettings, TrustSource


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
    template: Template = Field(default_factory=dict)
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


class MTLSService(Model):
    """Mutual TLS for a service and its callers: certificates, their rotation, a server that demands them."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: MTLSServiceSpec = MTLSServiceSpec()
    """What is wanted."""
    status: MTLSServiceStatus | None = None
    """What is; written by the operator only."""
