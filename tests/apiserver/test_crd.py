"""The kind as people meet it: applied in both ways, explained, scaled, listed, with a status."""

import json
from typing import Any

import pytest

from tests.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]

BACKENDS: list[dict[str, Any]] = [
    {"identity": {}},
    {"asgi": {"app": "shop.orders:app"}},
    {"wsgi": {"app": "shop.orders:app"}},
    {"upstream": {"url": "http://127.0.0.1:8080"}},
    {"none": {}},
]


def orders(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": "MTLSService",
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": spec,
    }


PKCS12 = {"type": "PKCS12", "passwordSecretRef": {"name": "p12", "key": "password"}}
SHOP = {"kind": "StatefulSet", "name": "shop"}
EVERYTHING: dict[str, Any] = {
    "replicas": 3,
    "port": 9443,
    "backend": {
        "upstream": {
            "url": "http://legacy.shop.svc:80",
            "timeouts": {"connect": "1s", "response": "30s", "idle": "30s"},
            "insecureAcknowledged": True,
        }
    },
    "image": "registry.example/orders:1",
    "service": {"type": "LoadBalancer", "annotations": {"example.org/a": "b"}},
    "networkPolicy": {"enabled": True, "from": [{"podSelector": {}}], "extraPorts": [{"port": 9090}]},
    "certificates": {"duration": "12h", "privateKey": {"algorithm": "RSA", "size": 3072}},
    "authority": {
        "server": {"secretRef": {"name": "our-ca"}},
        "client": {"generated": {"duration": "800h"}},
        "propagation": "2h",
    },
    "trust": [
        {"name": "partner", "configMapRef": {"name": "partner", "key": "ca.crt"}},
        {"name": "old", "secretRef": {"name": "old", "key": "ca.crt"}},
    ],
    "clients": [
        {
            "name": "billing",
            "roles": ["reader"],
            "tenant": "acme",
            "duration": "1h",
            "formats": [PKCS12],
            "restart": [SHOP],
        },
        {"name": "reports", "revoked": True},
    ],
    "clientNamespaces": [{"namespace": "web", "roles": ["reader"], "tenant": "acme", "maxClients": 3}],
    "authorization": {
        "rules": [
            {"source": "partner", "spiffeId": "spiffe://partner.example/ns/*/sa/web", "roles": ["reader"]},
            {"source": "old", "dns": "web.partner.example", "roles": ["reader"], "tenant": "acme"},
            {"cn": "reports", "deny": True},
        ],
        "routes": [{"path": "/orders/**", "methods": ["GET"], "roles": ["reader"]}],
    },
    "tls": {"minVersion": "1.2", "x509Strict": False},
    "deletionPolicy": "Retain",
}


def billing(namespace: str) -> dict[str, Any]:
    return orders(namespace) | {
        "kind": "MTLSClient",
        "metadata": {"name": "billing", "namespace": namespace},
        "spec": {
            "serviceRef": {"name": "orders", "namespace": "shop"},
            "secretName": "orders-tls",
            "duration": "1h",
            "formats": [PKCS12],
            "restart": [SHOP],
        },
    }


def stored(kubectl: Kubectl, namespace: str) -> dict[str, Any]:
    found = kubectl.get("mtlsservices", "orders", "--namespace", namespace)
    assert found
    return found


@pytest.mark.parametrize("side", ["--server-side=false", "--server-side=true"])
def test_minimal_object_then_each_backend_in_turn(side: str, kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("apply", side, "--filename=-", stdin=orders(namespace))
    assert stored(kubectl, namespace)["spec"] == {"replicas": 2, "port": 8443}
    for backend in BACKENDS:
        kubectl.run("apply", side, "--filename=-", stdin=orders(namespace, backend=backend))
        assert stored(kubectl, namespace)["spec"]["backend"] == backend
    kubectl.run("apply", side, "--filename=-", stdin=orders(namespace))
    assert "backend" not in stored(kubectl, namespace)["spec"]


@pytest.mark.parametrize("side", ["--server-side=false", "--server-side=true"])
def test_all_that_may_be_said_at_once_is_kept(side: str, kubectl: Kubectl, namespace: str) -> None:
    for manifest in (orders(namespace, **EVERYTHING), billing(namespace)):
        kubectl.run("apply", side, "--filename=-", stdin=manifest)
        plural = f"{manifest['kind'].lower()}s"
        found = kubectl.get(plural, manifest["metadata"]["name"], "--namespace", namespace)
        assert found is not None
        assert found["spec"] == manifest["spec"]


def test_two_owners_each_apply_their_clients(kubectl: Kubectl, namespace: str) -> None:
    for owner in ("billing", "reports"):
        manager = f"--field-manager={owner}"
        wish = orders(namespace, clients=[{"name": owner, "roles": ["reader"]}])
        kubectl.run("apply", "--server-side", manager, "--filename=-", stdin=wish)
    clients = stored(kubectl, namespace)["spec"]["clients"]
    assert [client["name"] for client in clients] == ["billing", "reports"]


def test_template_keeps_what_the_schema_does_not_know(kubectl: Kubectl, namespace: str) -> None:
    template = {
        "metadata": {"labels": {"team": "shop"}},
        "spec": {
            "priorityClassName": "high",
            "containers": [{"name": "proxy", "image": "example/proxy:1", "ports": [{"containerPort": 9090}]}],
            "volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}}],
        },
    }
    kubectl.run("apply", "--filename=-", stdin=orders(namespace, template=template))
    assert stored(kubectl, namespace)["spec"]["template"] == template


def test_unknown_field_is_named(kubectl: Kubectl, namespace: str) -> None:
    refused = kubectl.run("apply", "--filename=-", stdin=orders(namespace, clientz=[]), check=False)
    assert 'unknown field "spec.clientz"' in refused.stderr


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("mtls.spec.backend", ["Default: `identity: {}`", "asgi", "upstream"]),
        ("mtls.spec.certificates.duration", ["Default: 24h"]),
        ("mtls.spec.authority.server.generated.duration", ["Default: 720h"]),
        ("mtls.spec.clients.duration", ["at least 10m", "allow-short-lived"]),
        ("mtls.status.clients", ["At most 50 clients"]),
        ("mtlsc.spec.serviceRef", ["clientNamespaces"]),
    ],
)
def test_kubectl_explains_fields_and_defaults(field: str, words: list[str], kubectl: Kubectl) -> None:
    explained = " ".join(kubectl.run("explain", field).stdout.split())
    assert [word for word in words if word not in explained] == []


def test_scale_reads_and_writes_replicas(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("apply", "--filename=-", stdin=orders(namespace))
    kubectl.run("scale", "mtls/orders", "--namespace", namespace, "--current-replicas=2", "--replicas=5")
    assert stored(kubectl, namespace)["spec"]["replicas"] == 5
    write_status(kubectl, orders(namespace), {"replicas": 5, "selector": "app=orders"})
    path = f"/apis/mtls-operator.io/v1alpha1/namespaces/{namespace}/mtlsservices/orders/scale"
    scale = json.loads(kubectl.run("get", "--raw", path).stdout)
    assert scale["status"] == {"replicas": 5, "selector": "app=orders"}


def test_status_holds_fifty_clients_and_no_more(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("apply", "--filename=-", stdin=orders(namespace))
    write_status(kubectl, orders(namespace), status(clients=50))
    assert stored(kubectl, namespace)["status"] == status(clients=50)
    too_many = write_status(kubectl, orders(namespace), status(clients=51), check=False)
    assert "status.clients: Too many: 51: must have at most 50 items" in too_many


def test_status_is_not_written_with_the_spec(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("apply", "--filename=-", stdin=orders(namespace) | {"status": {"instance": "somebody/else"}})
    assert "status" not in stored(kubectl, namespace)


def test_listing_shows_what_matters(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("apply", "--filename=-", stdin=orders(namespace))
    write_status(kubectl, orders(namespace), status(clients=1))
    header, row = kubectl.run("get", "mtls", "--namespace", namespace).stdout.splitlines()
    assert header.split() == ["NAME", "READY", "CLIENTS", "EXPIRES", "RENEWS", "AGE"]
    assert row.split()[:5] == ["orders", "True", "1", "2036-03-15T09:26:53Z", "2036-03-14T21:26:53Z"]


def test_listing_of_callers_shows_what_matters(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("apply", "--filename=-", stdin=billing(namespace))
    dates = {"notAfter": "2036-03-15T09:26:53Z", "renewalTime": "2036-03-14T21:26:53Z"}
    write_status(kubectl, billing(namespace), {"conditions": status(clients=1)["conditions"], **dates})
    header, row = kubectl.run("get", "mtlsc", "--namespace", namespace).stdout.splitlines()
    assert header.split() == ["NAME", "READY", "SERVICE", "EXPIRES", "RENEWS", "AGE"]
    assert row.split()[:5] == ["billing", "True", "orders", *dates.values()]


def test_kinds_of_ours_are_listed_by_their_category(kubectl: Kubectl) -> None:
    listed = kubectl.run("api-resources", "--categories=mtls-operator", "--output=name").stdout
    assert sorted(listed.splitlines()) == ["mtlsclients.mtls-operator.io", "mtlsservices.mtls-operator.io"]


def test_a_short_name_means_one_kind(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("apply", "--filename=-", stdin=orders(namespace))
    listed = kubectl.run("get", "mtls", "orders", "--namespace", namespace, "--output=name").stdout
    assert listed.splitlines() == ["mtlsservice.mtls-operator.io/orders"]


def write_status(
    kubectl: Kubectl, manifest: dict[str, Any], value: dict[str, Any], *, check: bool = True
) -> str:
    """Apply a status like the operator does; return what the API server has against it."""
    body = manifest | {"status": value}
    del body["spec"]
    arguments = (
        "apply",
        "--server-side",
        "--subresource=status",
        "--field-manager=mtls-operator",
        "--filename=-",
    )
    return kubectl.run(*arguments, stdin=body, check=check).stderr


def status(clients: int) -> dict[str, Any]:
    """A whole status, as the operator writes it."""
    dates = {"notAfter": "2036-03-15T09:26:53Z", "renewalTime": "2036-03-14T21:26:53Z"}
    return {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Ready",
                "message": "",
                "observedGeneration": 1,
                "lastTransitionTime": "2036-03-14T09:26:53Z",
            }
        ],
        "serverCertificate": {
            "secretName": "orders-server",
            "serial": "5eed",
            "notBefore": "2036-03-14T09:25:53Z",
            "lastReason": "Missing: there is no Secret orders-server",
            **dates,
        },
        "clients": [
            {"name": f"c{n}", "secretName": f"orders-client-c{n}", "ready": True, "serial": "5eed", **dates}
            for n in range(clients)
        ],
        "clientsTotal": clients,
        "clientsReady": clients,
        "nextExpiry": dates["notAfter"],
        "authorities": {
            role: {
                "fingerprint": "ab" * 32,
                "notBefore": "2036-03-14T09:25:53Z",
                "notAfter": dates["notAfter"],
            }
            for role in ("server", "client")
        },
        "replicas": 2,
        "selector": "app.kubernetes.io/instance=orders",
        "serverVersion": "0.1.0",
        "instance": "mtls-system/mtls-operator",
    }
