"""How fast and how frugal it is."""

import time
from pathlib import Path

import pytest

from tests.e2e.figures import Figures, percentile
from tests.e2e.installation import Operator
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import IMAGES_ARE_LOADED, Namespace
from tests.e2e.reader import Object

pytestmark = pytest.mark.e2e

CLIENTS = [{"name": "billing", "roles": ["reader"]}]
TIMES = 20
SETTLED = 5.0
"""Seconds after which nothing happens any more."""
OPERATOR_MEMORY = 90.0
SERVER_MEMORY = 60.0
"""MiB resident, as an aim."""
TOLERANCE = 1.2
"""Beyond so many times the aim, something has grown that should not."""


def test_twenty_services_one_after_another_are_soon_ready(namespace: Namespace, figures: Figures) -> None:
    durations = []
    for number in range(TIMES):
        name = f"orders-{number}"
        began = time.monotonic()
        namespace.apply_ready(mtls_service(name, namespace.name, clients=CLIENTS))
        durations.append(time.monotonic() - began)
        namespace.kubectl("delete", "mtlsservice", name, f"--namespace={namespace.name}")
    figures.record("apply until Ready (2 pods), p50 of 20", percentile(durations, 50), "s", IMAGES_ARE_LOADED)
    figures.record("apply until Ready (2 pods), p99 of 20", percentile(durations, 99), "s", IMAGES_ARE_LOADED)


def test_operator_and_server_are_small(namespace: Namespace, operator: Operator, figures: Figures) -> None:
    (worked,) = operator.pods()
    figures.record("Operator, resident memory after 20 services", resident(worked), "MiB")
    operator.stop()
    operator.start()
    namespace.apply_ready(mtls_service("idle", namespace.name, replicas=1, clients=CLIENTS))
    time.sleep(SETTLED)

    (fresh,) = operator.pods()
    (server,) = namespace.reader.pods(namespace.name, "idle")
    figures.record("Operator, resident memory idle", resident(fresh), "MiB", OPERATOR_MEMORY)
    figures.record("Server, resident memory idle", resident(server), "MiB", SERVER_MEMORY)

    assert resident(fresh) <= OPERATOR_MEMORY * TOLERANCE
    assert resident(server) <= SERVER_MEMORY * TOLERANCE


def resident(pod: Object) -> float:
    """Return the MiB that the largest process of a pod, which runs on this machine, has resident."""
    uid = pod["metadata"]["uid"]
    sizes = [
        resident_of(process)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and uid in cgroup(process)
    ]
    return max(sizes)


def cgroup(process: Path) -> str:
    try:
        return (process / "cgroup").read_text()
    except OSError:
        return ""


def resident_of(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kibibytes) / 1024
