"""How the server is reached."""

from typing import Annotated, Literal

from pydantic import Field

from mtls_operator.api.rules import values
from mtls_operator.api.scalars import Annotations, Cidr, DnsName, ExtraPort, LabelKey, LabelValue, MatchLabels
from mtls_operator.api.schema import items, ruled
from mtls_operator.api.types.model import Model


class ServiceSettings(Model):
    """The Service in front of the server."""

    type: Literal["ClusterIP", "LoadBalancer", "NodePort"] = "ClusterIP"
    """Type of the Service. Default: ClusterIP."""
    annotations: Annotations = Field(default_factory=dict)
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
