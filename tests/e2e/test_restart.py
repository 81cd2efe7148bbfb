"""A server that reads its files once goes through renewals and a rotation, and nobody notices."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import images, node
from tests.cluster.layout import Cluster
from tests.e2e.clients import Target
from tests.e2e.load import Load, SecretFollower
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import DEPLOYMENT, SERVICE, Object
from tests.e2e.test_node_server import FILES, IMAGE, SOURCES
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "legacy"
RESTARTED_FOR = "mtls-operator.io/restarted-for"
PER_SECOND = 20
PATIENCE = 120.0
"""Seconds that a step may take, a rolling restart of two pods included."""


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    node.load(cluster, images.archive_of(SOURCES, IMAGE))
    return IMAGE


def server(namespace: str, image: str) -> list[Object]:
    """Two replicas and a Service, as somebody had them before us."""
    items = [{"key": key, "path": file} for key, file in FILES.items()]
    container = {
        "name": "server",
        "image": image,
        "volumeMounts": [{"name": "certs", "mountPath": "/certs", "readOnly": True}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        # Until every node has heard that the pod goes, connections still come.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
    }
    labels, metadata = {"app": NAME}, {"name": NAME, "namespace": namespace}
    spec = {
        "containers": [container],
        "volumes": [{"name": "certs", "secret": {"secretName": f"{NAME}-server", "items": items}}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 7,
    }
    deployment = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": labels}, "spec": spec},
    }
    front = {"selector": labels, "ports": [{"port": 8443}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": front},
    ]


@pytest.fixture
def legacy(namespace: Namespace, image: str) -> Target:
    service = mtls_service(
        NAME,
        namespace.name,
        backend={"none": {}},
        clients=[{"name": "billing"}],
        authority={"propagation": "15s"},
        restart=[{"kind": "Deployment", "name": NAME}],
    )
    namespace.apply_ready(service)
    namespace.kubectl.apply(*server(namespace.name, image))
    until("the server runs", lambda: is_rolled_out(namespace), seconds=PATIENCE)
    address = namespace.reader.get(SERVICE, namespace.name, NAME)["spec"]["clusterIP"]
    return Target(address, 8443, namespace.dns_name(NAME))


@pytest.fixture
def caller(namespace: Namespace, legacy: Target, cluster: Cluster) -> Iterator[SecretFollower]:
    del legacy  # the Secret is there by then
    secret = f"{NAME}-client-billing"
    with SecretFollower(cluster.kubeconfig, namespace.name, secret, namespace.folder) as follower:
        yield follower


def test_two_renewals_and_a_rotation_of_both_authorities_fail_no_request(
    namespace: Namespace, legacy: Target, caller: SecretFollower
) -> None:
    nobody: Any = None  # this server ends kept connections with itself, so callers make fresh ones
    with Load(
        kept=legacy,
        fresh=[legacy],
        steady=nobody,
        brief=lambda: caller.context,
        kept_connections=0,
        fresh_per_second=PER_SECOND,
    ) as load:
        began = time.monotonic()
        for number in (1, 2):
            renew(namespace, load, number)
        before = authorities(namespace)
        annotate(namespace, "rotate-authority", "1")
        until("both sign", lambda: not before & authorities(namespace), seconds=2 * PATIENCE)
        renew(namespace, load, 3)
        lasted = time.monotonic() - began

    assert load.failures == []
    assert len(load.met) >= 0.9 * PER_SECOND * lasted, "the machine was too slow"
    generation = namespace.reader.get(DEPLOYMENT, namespace.name, NAME)["metadata"]["generation"]
    assert generation - 1 in range(4, 7), "once for each renewal, and for the new client authority"


def test_nothing_but_the_annotation_of_the_pods_is_altered(namespace: Namespace, legacy: Target) -> None:
    del legacy
    before = namespace.reader.get(DEPLOYMENT, namespace.name, NAME)
    annotate(namespace, "reissue", "1")
    until("the restart is asked for", lambda: rolled_for(namespace) is not None, seconds=PATIENCE)
    after = namespace.reader.get(DEPLOYMENT, namespace.name, NAME)
    del after["spec"]["template"]["metadata"]["annotations"]
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("labels") == before["metadata"].get("labels")


def annotate(namespace: Namespace, name: str, value: str) -> None:
    namespace.kubectl(
        "annotate",
        "--overwrite",
        f"--namespace={namespace.name}",
        f"mtls/{NAME}",
        f"mtls-operator.io/{name}={value}",
    )


def renew(namespace: Namespace, load: Load, number: int) -> None:
    """Ask for new certificates, and wait until no pod of before is left and callers meet the new one."""
    before = serial(namespace)
    annotate(namespace, "reissue", str(number))
    until("a renewal", lambda: serial(namespace) != before, seconds=PATIENCE)

    def is_served() -> bool:
        met = {f"{each.serial:x}" for each in load.met[-PER_SECOND:]}
        return is_rolled_out(namespace) and met == {serial(namespace)}

    until("the renewal is served", is_served, seconds=PATIENCE)


def serial(namespace: Namespace) -> str:
    return str(namespace.status(NAME)["serverCertificate"]["serial"])


def is_rolled_out(namespace: Namespace) -> bool:
    deployment = namespace.reader.get(DEPLOYMENT, namespace.name, NAME)
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    counts = {status.get(f"{kind}eplicas") for kind in ("updatedR", "availableR", "r")}
    return bool(seen and counts == {wanted})


def rolled_for(namespace: Namespace) -> str | None:
    template = namespace.reader.get(DEPLOYMENT, namespace.name, NAME)["spec"]["template"]
    value: str | None = template["metadata"].get("annotations", {}).get(RESTARTED_FOR)
    return value


def authorities(namespace: Namespace) -> set[str]:
    return {each["fingerprint"] for each in namespace.status(NAME)["authorities"].values()}
