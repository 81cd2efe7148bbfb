"""Certificates that hold for a minute are rotated under load, and no caller notices."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.layout import Cluster
from tests.e2e.clients import Connection, Files, Target
from tests.e2e.figures import Figures, percentile
from tests.e2e.load import Load, Met, SecretFollower
from tests.e2e.manifests import COUNTING, SHORT_LIVED, mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "rotating"
ROTATIONS = 5
DOWNLOAD_SECONDS = 60
DOWNLOAD_BYTES = DOWNLOAD_SECONDS * 10 * 1024
LONGEST_DELIVERY = 2.0
"""Seconds from the write of a certificate until a pod serves it, at most."""


def test_five_rotations_under_load_without_a_failed_request_or_handshake(
    namespace: Namespace, cluster: Cluster, figures: Figures
) -> None:
    namespace.with_counting_app()
    callers = [{"name": "steady", "duration": "1h"}, {"name": "brief", "duration": "60s"}]
    minute = {"duration": "60s"}
    service = mtls_service(
        NAME, namespace.name, SHORT_LIVED, replicas=2, certificates=minute, clients=callers, **COUNTING
    )
    namespace.apply_ready(service)
    steady = namespace.files(f"{NAME}-client-steady")
    pods = namespace.pod_targets(NAME)

    def follow(secret: str) -> SecretFollower:
        return SecretFollower(cluster.kubeconfig, namespace.name, secret, namespace.folder / secret)

    with (
        ThreadPoolExecutor(1) as downloader,
        follow(f"{NAME}-server") as server,
        follow(f"{NAME}-client-brief") as brief,
        Load(
            kept=namespace.target(NAME),
            fresh=pods,
            steady=steady.context,
            brief=lambda: brief.context,
            kept_connections=50,
            fresh_per_second=50,
        ) as load,
    ):
        began = time.monotonic()
        download = downloader.submit(fetch_slowly, namespace.target(NAME), steady)
        rotated = lambda: len(server.serials) > ROTATIONS  # noqa: E731
        until(f"{ROTATIONS} rotations", rotated, seconds=ROTATIONS * 40)
        until("every pod serves the newest", lambda: served_everywhere(load, server, pods), seconds=10)
        lasted = time.monotonic() - began

    assert load.failures == []
    assert len(load.met) >= 0.95 * 50 * lasted, "the machine was too slow to make 50 connections a second"
    assert load.requests >= 50 * lasted
    assert len(brief.serials) >= ROTATIONS

    size, started, ended = download.result()
    assert size == DOWNLOAD_BYTES
    assert ended - started >= DOWNLOAD_SECONDS
    assert any(started < at < ended for at in server.serials.values())

    delays = [delay for pod in pods for delay in deliveries(load.met, pod.address, server.serials)]
    assert len(delays) >= ROTATIONS * len(pods)
    assert percentile(delays, 99) <= LONGEST_DELIVERY
    figures.record("Secret written until a pod serves it, p50", percentile(delays, 50), "s")
    figures.record("Secret written until a pod serves it, p99", percentile(delays, 99), "s", LONGEST_DELIVERY)


def fetch_slowly(target: Target, files: Files) -> tuple[int, float, float]:
    """Download for a minute over one connection; return how many bytes came, and from when until when."""
    connection = Connection(target, files.context())
    try:
        started = time.monotonic()
        body = connection.fetch(f"/download?seconds={DOWNLOAD_SECONDS}")
        return len(body), started, time.monotonic()
    finally:
        connection.close()


def deliveries(met: list[Met], pod: str, serials: dict[int, float]) -> list[float]:
    """Return the seconds from each write to the end of the first handshake with it at this pod.

    A connection that begins after that meets no older certificate any more.
    """
    order = list(serials)
    first: dict[int, float] = {}
    newest = 0
    for each in sorted((each for each in met if each.pod == pod), key=lambda each: each.done):
        position = order.index(each.serial)
        assert position >= newest or each.begun < first[order[newest]], f"{pod} served an older one again"
        newest = max(newest, position)
        first.setdefault(each.serial, each.done)
    return [first[serial] - serials[serial] for serial in order[1:] if serial in first]


def served_everywhere(load: Load, server: SecretFollower, pods: list[Target]) -> bool:
    newest = list(server.serials)[-1]
    met = {each.pod for each in list(load.met) if each.serial == newest}
    return met >= {pod.address for pod in pods}
