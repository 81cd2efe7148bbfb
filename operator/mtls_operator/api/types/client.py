"""Callers: here, in other namespaces, and the kind MTLSClient."""

from typing import Annotated, Literal

from mtls_operator.api.rules import lifetimes, values
from mtls_operator.api.scalars import (
    ClientLimit,
    Duration,
    Generation,
    Hex,
    Label,
    Moment,
    ObjectName,
    ReferenceName,
    Roles,
    SecretName,
    Sentence,
    Tenant,
    Word,
)
from mtls_operator.api.schema import items, ruled
from mtls_operator.api.types.model import Condition, KeyReference, Metadata, Model


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
    """How long the certificate holds; at least 10m, at most as long as those of the service's own clients.

    Default: that of the service, but at least 10m.
    """
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
