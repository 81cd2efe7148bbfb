"""The objects that make the server run and be reached, all of the service's own name."""

from collections.abc import Mapping
from typing import Any

from mtls_operator.api.settings import Settings
from mtls_operator.api.types import MTLSService
from mtls_server.contract import ADMIN_PORT

from .drift import recorded
from .metadata import owned, selector
from .pods import MTLS_PORT, pod_template

Object = dict[str, Any]


def workload(service: MTLSService, settings: Settings, restarted_for: str = "") -> list[Object]:
    """Build what runs the server, in order of application; nothing where the user does (backend `none`).

    Args:
        service: whose server it is.
        settings: what all servers have in common.
        restarted_for: what its pods were last replaced for.
    """
    if service.spec.certificates_only:
        return []
    objects = [service_account(service), front(service), disruption_budget(service)]
    if service.spec.network_policy.enabled:
        objects.append(network_policy(service, settings))
    objects.append(deployment(service, settings, restarted_for))
    return [recorded(desired) for desired in objects]


def service_account(service: MTLSService) -> Object:
    """Build the pods' ServiceAccount: one without rights and without a token."""
    return _object(service, "v1", "ServiceAccount", {"automountServiceAccountToken": False})


def front(service: MTLSService) -> Object:
    """Build the Service in front of the pods."""
    wanted = service.spec.service
    port = {"name": MTLS_PORT, "port": service.spec.port, "protocol": "TCP", "targetPort": MTLS_PORT}
    spec = {"type": wanted.type, "selector": selector(service), "ports": [port]}
    return _object(service, "v1", "Service", {"spec": spec}, wanted.annotations)


def disruption_budget(service: MTLSService) -> Object:
    """Build the PodDisruptionBudget: one pod at a time, and broken ones never stand in a drain's way."""
    spec = {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": _pods(service)}
    return _object(service, "policy/v1", "PodDisruptionBudget", {"spec": spec})


def network_policy(service: MTLSService, settings: Settings) -> Object:
    """Build the NetworkPolicy: callers reach the mTLS port, operator and monitoring the admin port."""
    wanted = service.spec.network_policy
    peers = [peer.model_dump(mode="json", by_alias=True, exclude_none=True) for peer in wanted.from_]
    ports = [{"port": service.spec.port, "protocol": "TCP"}]
    ports += [port.model_dump(by_alias=True) for port in wanted.extra_ports]
    callers: Object = {"ports": ports} | ({"from": peers} if peers else {})
    observers = {
        "ports": [{"port": ADMIN_PORT, "protocol": "TCP"}],
        "from": [_namespace(name) for name in (settings.namespace, *settings.monitoring_namespaces)],
    }
    spec = {"podSelector": _pods(service), "policyTypes": ["Ingress"], "ingress": [callers, observers]}
    return _object(service, "networking.k8s.io/v1", "NetworkPolicy", {"spec": spec})


def deployment(service: MTLSService, settings: Settings, restarted_for: str = "") -> Object:
    """Build the Deployment of the server; a new pod is ready before an old one goes."""
    spec = {
        "replicas": service.spec.replicas,
        "selector": _pods(service),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": pod_template(service, settings, restarted_for),
    }
    return _object(service, "apps/v1", "Deployment", {"spec": spec})


def _object(
    service: MTLSService,
    api_version: str,
    kind: str,
    contents: Object,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    metadata = owned(service, service.metadata.name, "server")
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **contents}


def _pods(service: MTLSService) -> Object:
    return {"matchLabels": selector(service)}


def _namespace(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
