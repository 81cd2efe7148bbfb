"""A program that reads its files once serves through renewals and a rotation, and no caller notices.

It is the server written by hand in Node.js, unchanged, with a Deployment as people would write it: two
replicas, of which none goes before another is ready, and none before its callers have turned to the others.
"""

import time

import pytest

from tests.cluster.layout import Cluster
from tests.e2e import node_server
from tests.e2e.load import Load, SecretFollower
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import DEPLOYMENT, Object
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "legacy"
RESTARTED_FOR = "mtls-operator.io/restarted-for"
SERVER, CLIENT = f"{NAME}-server", f"{NAME}-client-billing"
LABELS = {"app": NAME}
LEAF = "10m"
PROPAGATION = "45s"
LAG = 10.0
"""Seconds after which a caller uses what its Secret says."""
KEPT_FOR = 8.0
"""Seconds for which a caller keeps a connection."""
DRAIN = 12
"""Seconds for which a pod serves on when no new connection comes to it any more."""


def deployment(namespace: str) -> Object:
    pod = node_server.pod_spec(SERVER)
    pod["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": DRAIN}}}
    pod["terminationGracePeriodSeconds"] = DRAIN + 3
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": LABELS},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": LABELS}, "spec": pod},
        },
    }


def service(namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"selector": LABELS, "ports": [{"port": 8443}]},
    }


def certificates(namespace: str) -> Object:
    authority = {"generated": {"duration": "2h"}}
    return mtls_service(
        NAME,
        namespace,
        backend={"none": {}},
        certificates={"duration": LEAF},
        clients=[{"name": "billing"}],
        authority={"server": authority, "client": authority, "propagation": PROPAGATION},
        restart=[{"kind": "Deployment", "name": NAME}],
    )


def test_two_renewals_and_a_rotation_without_a_failed_request(namespace: Namespace, cluster: Cluster) -> None:
    node_server.load_image(cluster)
    namespace.kubectl.apply(certificates(namespace.name), deployment(namespace.name), service(namespace.name))
    namespace.ready(NAME)
    await_rollout(namespace)
    before = namespace.reader.get(DEPLOYMENT, namespace.name, NAME)
    former = authorities(namespace)

    def both_sign() -> bool:
        now = authorities(namespace)
        return all(now[role] != former[role] for role in former)

    target = namespace.target(NAME)
    folder = namespace.folder / "followed"
    with (
        SecretFollower(cluster.kubeconfig, namespace.name, CLIENT, folder / CLIENT, lag=LAG) as billing,
        SecretFollower(cluster.kubeconfig, namespace.name, SERVER, folder / SERVER) as server,
        Load(
            kept=target,
            fresh=[target],
            steady=lambda: billing.context,
            brief=lambda: billing.context,
            kept_connections=10,
            fresh_per_second=5,
            kept_for=KEPT_FOR,
        ) as load,
    ):
        for value in ("first", "second"):
            renew(namespace, load, server, value)
        namespace.annotate(NAME, "rotate-authority=now")
        until("both new authorities sign", both_sign, seconds=120, every=0.5)
        renew(namespace, load, server, "by the new ones")
        time.sleep(max(DRAIN, LAG))  # until no former pod is left, and callers use what is new
    assert load.failures == []
    assert load.requests > 0 < len(load.met)
    after = namespace.reader.get(DEPLOYMENT, namespace.name, NAME)
    restarts = after["metadata"]["generation"] - before["metadata"]["generation"]
    assert restarts in range(4, 7), "once for each renewal, and for the new trust anchors"
    assert set(after["spec"]["template"]["metadata"].pop("annotations")) == {RESTARTED_FOR}
    assert after["spec"] == before["spec"]


def renew(namespace: Namespace, load: Load, server: SecretFollower, value: str) -> None:
    """Ask for new certificates; wait until callers have met that of the server and every pod has it."""
    known = len(server.serials)
    namespace.annotate(NAME, f"reissue={value}")
    until("it is issued", lambda: len(server.serials) > known, seconds=15)
    newest = list(server.serials)[-1]
    until("it is in use", lambda: newest in {each.serial for each in load.met}, seconds=60)
    await_rollout(namespace)


def await_rollout(namespace: Namespace) -> None:
    where = f"--namespace={namespace.name}"
    namespace.kubectl("rollout", "status", f"deployment/{NAME}", where, "--timeout=90s")


def authorities(namespace: Namespace) -> dict[str, str]:
    found = namespace.status(NAME)["authorities"]
    return {role: found[role]["fingerprint"] for role in ("server", "client")}
