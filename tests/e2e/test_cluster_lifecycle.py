"""The cluster of these tests starts, stops and starts again from whatever state it is found in."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import cluster as clusters
from tests.cluster import Cluster, api, control_plane, node, packages
from tests.cluster.processes import Daemon
from tests.e2e import traces

pytestmark = pytest.mark.e2e

NAME = "lifecycle"
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module", autouse=True)
def _nothing_before_and_after() -> Iterator[None]:
    packages.require("curl")
    clusters.down(NAME)
    yield
    clusters.down(NAME)


@pytest.fixture
def cluster() -> Cluster:
    return clusters.up(NAME)


def run_pod(cluster: Cluster, name: str) -> None:
    container = {"name": "pause", "image": "localhost/pause:1"}
    manifest = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"containers": [container]},
    }
    api.create(cluster, PODS, manifest)
    wait_for_pod(cluster, name)


def wait_for_pod(cluster: Cluster, name: str, restarts: int = 0) -> None:
    deadline = time.monotonic() + 60
    status: dict[str, Any] = {}
    while time.monotonic() < deadline:
        status = (api.get(cluster, f"{PODS}/{name}") or {}).get("status", {})
        containers = status.get("containerStatuses", [])
        if any("running" in each["state"] and each["restartCount"] >= restarts for each in containers):
            return
        time.sleep(0.1)
    pytest.fail(f"pod {name} does not run: {json.dumps(status, indent=2)}")


def daemons(cluster: Cluster) -> dict[str, int | None]:
    return {name: Daemon(cluster, name).pid() for name in [*control_plane.DAEMONS, *node.DAEMONS]}


def kill_everything(cluster: Cluster) -> None:
    while pids := traces.processes(cluster):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def test_starting_twice_changes_nothing(cluster: Cluster) -> None:
    before = daemons(cluster)
    assert all(before.values())
    assert clusters.up(NAME) == cluster
    assert daemons(cluster) == before


def test_nothing_is_left_after_stopping_twice(cluster: Cluster) -> None:
    run_pod(cluster, "sleeper")
    namespace = traces.network_namespace(cluster)
    assert traces.leftovers(cluster, namespace).keys() >= {
        "processes",
        "mounts",
        "namespaces",
        "interfaces",
        "routes",
        "cgroups",
        "packet filter",
        "files",
    }
    clusters.down(NAME)
    assert traces.leftovers(cluster, namespace) == {}
    clusters.down(NAME)
    assert traces.leftovers(cluster, namespace) == {}


def test_everything_killed_starts_again_with_its_pods(cluster: Cluster) -> None:
    run_pod(cluster, "survivor")
    kill_everything(cluster)
    clusters.up(NAME)
    wait_for_pod(cluster, "survivor", restarts=1)
    run_pod(cluster, "newcomer")


def test_everything_killed_leaves_nothing_once_stopped(cluster: Cluster) -> None:
    run_pod(cluster, "sleeper")
    namespace = traces.network_namespace(cluster)
    kill_everything(cluster)
    clusters.down(NAME)
    assert traces.leftovers(cluster, namespace) == {}


def test_a_node_that_lost_one_daemon_starts_again(cluster: Cluster) -> None:
    kubelet = daemons(cluster)["kubelet"]
    assert kubelet
    os.kill(kubelet, signal.SIGKILL)
    clusters.up(NAME)
    run_pod(cluster, "newcomer")


def test_a_recycled_process_id_is_never_killed(cluster: Cluster) -> None:
    with subprocess.Popen(["sleep", "600"]) as bystander:
        records = [*(cluster.state / "pids").iterdir()]
        assert records
        for record in records:
            _, started = json.loads(record.read_text())
            record.with_suffix(".copy").write_text(json.dumps([bystander.pid, started]))
        kill_everything(cluster)
        for record in records:
            record.with_suffix(".copy").rename(record)
        clusters.down(NAME)
        assert bystander.poll() is None
        bystander.kill()


def test_every_process_listens_only_on_loopback_or_the_cluster_own_addresses(cluster: Cluster) -> None:
    run_pod(cluster, "sleeper")
    listeners = traces.listeners(cluster)
    assert {"etcd", "kube-apiserver", "containerd", "coredns", "kubelet"} <= {
        each.program for each in listeners
    }
    own = cluster.node_address
    assert [each for each in listeners if not each.address.is_loopback and each.address != own] == []


def test_the_api_server_restarts_alone(cluster: Cluster) -> None:
    before = daemons(cluster)
    clusters.stop_apiserver(cluster, kill=True)
    assert api.get(cluster, PODS) is None
    clusters.start_control_plane(cluster)
    assert api.get(cluster, PODS) is not None
    after = daemons(cluster)
    assert [name for name in before if after[name] != before[name]] == ["kube-apiserver"]


def test_a_second_cluster_runs_beside_the_first(cluster: Cluster) -> None:
    second = clusters.up(f"{NAME}-second", with_node=False)
    try:
        run_pod(cluster, "sleeper")
        assert api.get(second, f"{PODS}/sleeper") is None
        assert api.get(second, PODS) is not None
    finally:
        clusters.down(second.name)
    assert api.get(cluster, f"{PODS}/sleeper") is not None


def test_services_are_reached_from_the_host_and_in_the_node(cluster: Cluster) -> None:
    dns_health = {"port": 8181, "protocol": "TCP"}
    service = {"kind": "Service", "metadata": {"name": "dns"}, "spec": {"ports": [dns_health]}}
    endpoints = {
        "kind": "EndpointSlice",
        "metadata": {"name": "dns", "labels": {"kubernetes.io/service-name": "dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(cluster.node_address)]}],
        "ports": [dns_health],
    }
    api.create(cluster, SERVICES, service)
    api.create(cluster, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", endpoints)
    created = api.get(cluster, f"{SERVICES}/dns")
    assert created
    url = f"http://{created['spec']['clusterIP']}:8181/ready"
    curl = [
        "curl",
        "--silent",
        "--show-error",
        "--retry",
        "5",
        "--retry-connrefused",
        "--max-time",
        "10",
        url,
    ]
    assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout == "OK"
    assert clusters.in_node(cluster, curl).stdout == "OK"


def test_the_audit_log_has_each_request_once(cluster: Cluster) -> None:
    before = len(pods_created(cluster))
    run_pod(cluster, "counted")
    (request,) = pods_created(cluster)[before:]
    assert request["user"]["username"] == "admin"


def pods_created(cluster: Cluster) -> list[dict[str, Any]]:
    requests = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    return [each for each in requests if each["verb"] == "create" and each["requestURI"] == PODS]
