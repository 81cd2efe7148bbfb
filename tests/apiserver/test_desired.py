"""What we want, as a real API server keeps it: no difference until somebody makes one."""

import json
from typing import Any

import pytest

from mtls_operator.api.types import MTLSService
from mtls_operator.cluster.client import ApiClient, path
from mtls_operator.cluster.failures import StatusError
from mtls_operator.cluster.transport import Request, Transport
from mtls_operator.desired.drift import differs
from mtls_operator.desired.workload import workload
from mtls_operator.reconcile.ports import WORKLOAD, ConflictError, Object, Ref, Resource
from tests.cluster.kubectl import Kubectl
from tests.unit.desired.alterations import altered, cropped
from tests.unit.desired.builders import SETTINGS

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]

RESOURCES = {resource.kind: resource for resource in WORKLOAD}

MINIMAL: Object = {"clients": [{"name": "billing", "roles": ["reader"]}]}
ODDLY_SPELLED: Object = {
    "networkPolicy": {
        "from": [{"podSelector": {}, "namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "extraPorts": [{"port": 53, "protocol": "UDP"}],
    },
    "service": {"annotations": {"example.org/empty": ""}},
    "template": {
        "metadata": {"labels": {}, "annotations": {"example.org/empty": ""}},
        "spec": {
            "nodeSelector": {},
            "affinity": {},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "hostAliases": [],
            "priorityClassName": "",
            "containers": [
                {
                    "name": "server",
                    "tty": False,
                    "env": [
                        {"name": "EMPTY", "value": ""},
                        {
                            "name": "MEMORY",
                            "valueFrom": {
                                "resourceFieldRef": {"resource": "limits.memory", "divisor": "1024Ki"}
                            },
                        },
                        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    ],
                    "resources": {
                        "requests": {"cpu": "0.1", "memory": "0.5Gi"},
                        "limits": {"cpu": 2, "memory": "1024Mi", "ephemeral-storage": "1e9"},
                    },
                    "volumeMounts": [{"name": "extra", "mountPath": "/extra", "readOnly": False}],
                },
                {
                    "name": "sidecar",
                    "image": "registry.example/sidecar:1",
                    "args": [],
                    "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}],
                    "readinessProbe": {"tcpSocket": {"port": 53}, "initialDelaySeconds": 0},
                },
            ],
            "initContainers": [{"name": "prepare", "image": "registry.example/prepare:1", "env": []}],
            "volumes": [
                {"name": "extra", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi"}},
                {"name": "settings", "configMap": {"name": "settings", "optional": False}},
            ],
        },
    },
}
SPECS = pytest.mark.parametrize("spec", [MINIMAL, ODDLY_SPELLED], ids=["minimal", "oddly spelled"])


def create(kubectl: Kubectl, namespace: str, spec: Object) -> MTLSService:
    manifest = {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": "MTLSService",
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": spec,
    }
    answer = kubectl.run(
        "apply", "--server-side", "--force-conflicts", "--filename=-", "--output=json", stdin=manifest
    )
    return MTLSService.model_validate(json.loads(answer.stdout))


def ref(desired: Object) -> Ref:
    return Ref(RESOURCES[desired["kind"]], desired["metadata"]["namespace"], desired["metadata"]["name"])


async def read(client: ApiClient, desired: Object) -> Object:
    live = await client.get(ref(desired))
    assert live is not None
    return live


async def apply(client: ApiClient, desired: Object) -> Object:
    """Apply over whatever there is, and return what was read back."""
    live = await client.get(ref(desired))
    version = live["metadata"]["resourceVersion"] if live else "1"
    body = {**desired, "metadata": {**desired["metadata"], "resourceVersion": version}}
    try:
        await client.apply(RESOURCES[desired["kind"]], body)
    except ConflictError:  # a controller wrote its status meanwhile
        return await apply(client, desired)
    return await read(client, desired)


async def apply_all(client: ApiClient, service: MTLSService) -> list[tuple[Object, Object]]:
    """Return each object as it was wanted and as it is kept."""
    return [(desired, await apply(client, desired)) for desired in workload(service, SETTINGS)]


async def would_be(transport: Transport, resource: Resource, live: Object, changed: Object) -> Object | None:
    """Return what the API server would keep of a foreign hand's update; None where it refuses it."""
    metadata = changed["metadata"] | {"resourceVersion": live["metadata"]["resourceVersion"]}
    place = path(resource, live["metadata"]["namespace"], live["metadata"]["name"])
    query = {"dryRun": "All", "fieldManager": "foreign"}
    try:
        return await transport.send(Request("PUT", place, query, {**changed, "metadata": metadata}))
    except StatusError:
        return None


@SPECS
async def test_what_was_applied_does_not_differ(
    spec: Object, kubectl: Kubectl, namespace: str, client: ApiClient
) -> None:
    service = create(kubectl, namespace, spec)

    kept = await apply_all(client, service)

    assert len(kept) == 5
    assert [desired["kind"] for desired, live in kept if differs(desired, live)] == []


@SPECS
async def test_a_second_application_would_change_nothing(
    spec: Object, kubectl: Kubectl, namespace: str, client: ApiClient
) -> None:
    service = create(kubectl, namespace, spec)
    await apply_all(client, service)

    for desired, first in await apply_all(client, service):
        second = await apply(client, desired)
        assert second["metadata"].get("generation") == first["metadata"].get("generation")
        assert second.get("spec") == first.get("spec")


@SPECS
async def test_whatever_a_foreign_hand_alters_or_removes_is_noticed(
    spec: Object, kubectl: Kubectl, namespace: str, client: ApiClient, transport: Transport
) -> None:
    service = create(kubectl, namespace, spec)
    unnoticed, noticed = [], 0

    for desired, live in await apply_all(client, service):
        for field, changed in [*altered(desired), *cropped(desired)]:
            result = await would_be(transport, RESOURCES[desired["kind"]], live, changed)
            if result is None or _same(result, live):
                continue
            noticed += 1
            if not differs(desired, result):
                unnoticed.append((desired["kind"], field))

    assert unnoticed == []
    assert noticed > 80


def _same(one: Object, other: Object) -> bool:
    """Tell whether the API server keeps the two alike, be they spelled as they may."""
    return all(
        one.get(part) == other.get(part) for part in one.keys() | other.keys() if part != "metadata"
    ) and all(
        one["metadata"].get(part) == other["metadata"].get(part)
        for part in ("labels", "annotations", "ownerReferences")
    )


async def test_what_is_no_longer_wanted_is_noticed_and_goes(
    kubectl: Kubectl, namespace: str, client: ApiClient
) -> None:
    await apply_all(client, create(kubectl, namespace, ODDLY_SPELLED))
    service = create(kubectl, namespace, MINIMAL)

    differing = []
    for desired in workload(service, SETTINGS):
        if differs(desired, await read(client, desired)):
            differing.append(desired["kind"])
            live = await apply(client, desired)
            assert not differs(desired, live)

    assert differing == ["Service", "NetworkPolicy", "Deployment"]
    containers = live["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in containers] == ["server"]
    assert "env" not in containers[0]


async def test_what_others_add_is_left_alone(kubectl: Kubectl, namespace: str, client: ApiClient) -> None:
    service = create(kubectl, namespace, MINIMAL)
    await apply_all(client, service)
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "injected", "image": "injected:1"}]}}}}

    kubectl.run("-n", namespace, "annotate", "service/orders", "serviceaccount/orders", "example.org/a=b")
    kubectl.run(
        "-n", namespace, "label", "deployment/orders", "poddisruptionbudget/orders", "example.org/a=b"
    )
    kubectl.run("-n", namespace, "patch", "deployment/orders", f"--patch={json.dumps(sidecar)}")

    for desired in workload(service, SETTINGS):
        assert not differs(desired, await read(client, desired))


async def test_pods_are_admitted_where_pod_security_is_restricted(
    kubectl: Kubectl, namespace: str, client: ApiClient
) -> None:
    kubectl.run("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    service = create(kubectl, namespace, MINIMAL)
    (account, *_), (*_, deployment) = workload(service, SETTINGS), workload(service, SETTINGS)
    await apply(client, account)

    assert admits(kubectl, namespace, deployment["spec"]["template"]) == ""


def test_pod_security_is_really_enforced(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    careless = {
        "spec": {"containers": [{"name": "server", "image": "server:1"}], "serviceAccountName": "default"}
    }

    assert "violates PodSecurity" in admits(kubectl, namespace, careless)


def admits(kubectl: Kubectl, namespace: str, template: dict[str, Any]) -> str:
    """Return why a pod of this template is refused."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template.get("metadata", {}), "name": "pod", "namespace": namespace},
        "spec": template["spec"],
    }
    return kubectl.run("create", "--dry-run=server", "--filename=-", stdin=pod, check=False).stderr
