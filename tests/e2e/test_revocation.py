"""Who is revoked is cut off by every pod within seconds, and nobody else notices."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.e2e import clients
from tests.e2e.clients import Connection, Files, Target
from tests.e2e.figures import Figures, percentile
from tests.e2e.load import Load
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import SECRET
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "orders"
WITHIN = 3.0
"""Seconds from the beginning of `kubectl apply` until every pod has cut a caller off, at most."""
BYSTANDER = "bystander"
TO_FLAG = [f"flagged-{number}" for number in range(6)]
TO_REMOVE = [f"removed-{number}" for number in range(6)]


@pytest.fixture(scope="module")
def orders(shared_namespace: Namespace) -> Namespace:
    """The namespace in which two pods serve all callers."""
    apply(shared_namespace)
    shared_namespace.ready(NAME, seconds=60)
    return shared_namespace


@pytest.fixture(scope="module")
def former(orders: Namespace) -> dict[str, Files]:
    """What each caller has before anybody is revoked."""
    return {name: files(orders, name) for name in [BYSTANDER, *TO_FLAG, *TO_REMOVE]}


def test_a_revoked_client_is_cut_off_within_seconds_and_nobody_else(
    orders: Namespace, former: dict[str, Files], figures: Figures
) -> None:
    pods, bystander = orders.pod_targets(NAME), former[BYSTANDER].context()
    assert len(pods) == 2
    flagged: list[str] = []
    removed: list[str] = []
    delays: list[float] = []
    with Load(
        kept=orders.target(NAME),
        fresh=pods,
        steady=lambda: bystander,
        brief=lambda: bystander,
        kept_connections=10,
        fresh_per_second=10,
    ) as load:
        for names, gone in ((TO_FLAG, flagged), (TO_REMOVE, removed)):
            for name in names:
                gone.append(name)
                change = partial(apply, orders, flagged=flagged, removed=removed)
                delays += cut_off(pods, former[name], change)

    assert load.failures == []
    assert load.requests > 0 < len(load.met)
    figures.record("Revocation applied until a pod has cut off and refuses, p50", percentile(delays, 50), "s")
    figures.record(
        "Revocation applied until a pod has cut off and refuses, p99", percentile(delays, 99), "s", WITHIN
    )
    assert percentile(delays, 99) <= WITHIN
    for name in [*TO_FLAG, *TO_REMOVE]:
        until(f"the Secret of {name} is gone", partial(has_no_secret, orders, name), seconds=5)


def test_what_was_revoked_stays_so_when_the_servers_secret_is_lost_and_the_name_returns(
    orders: Namespace, former: dict[str, Files]
) -> None:
    orders.delete("secret", f"{NAME}-server")
    apply(orders)
    orders.ready(NAME)
    for pod in orders.pod_targets(NAME):
        for name in (TO_FLAG[0], TO_REMOVE[0]):
            until(f"the new one of {name} works", partial(serves_its_newest, orders, pod, name), seconds=5)
            assert_revoked(pod, former[name])
        assert clients.python(pod, former[BYSTANDER]).status == 200


def test_new_certificates_for_all_can_refuse_the_old_ones(orders: Namespace, figures: Figures) -> None:
    apply(orders)
    orders.ready(NAME)
    pods = orders.pod_targets(NAME)
    delays: list[float] = []
    for value in range(3):
        old = files(orders, BYSTANDER)
        delays += cut_off(pods, old, partial(orders.annotate, NAME, f"reissue=revoke/{value}"))
        for pod in pods:
            until("the new one works", partial(serves_its_newest, orders, pod, BYSTANDER), seconds=5)
    assert max(delays) <= WITHIN
    figures.record("reissue=revoke/… until a pod has cut off and refuses", max(delays), "s", WITHIN)


def apply(namespace: Namespace, *, flagged: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
    callers = [
        {"name": name, "revoked": name in flagged}
        for name in [BYSTANDER, *TO_FLAG, *TO_REMOVE]
        if name not in removed
    ]
    namespace.kubectl.apply(mtls_service(NAME, namespace.name, replicas=2, clients=callers))


def cut_off(pods: list[Target], caller: Files, revoke: Callable[[], None]) -> list[float]:
    """Revoke a caller that is connected to each pod.

    Returns:
        Seconds until each pod had closed its connection and refused a fresh one.
    """
    connections = [connected(pod, caller) for pod in pods]
    with ThreadPoolExecutor(len(pods)) as threads:
        refusals = [
            threads.submit(wait_for_refusal, pod, caller, connection)
            for pod, connection in zip(pods, connections, strict=True)
        ]
        began = time.monotonic()
        revoke()
        return [refusal.result() - began for refusal in refusals]


def connected(pod: Target, caller: Files) -> Connection:
    connection = Connection(pod, caller.context())
    connection.fetch()
    return connection


def wait_for_refusal(pod: Target, caller: Files, connection: Connection) -> float:
    """Wait until the connection is closed, then try a fresh one; return when it was refused."""
    connection.wait_until_closed()
    assert_revoked(pod, caller)
    return time.monotonic()


def assert_revoked(pod: Target, caller: Files) -> None:
    outcome = clients.python(pod, caller)
    assert outcome.status == 403, outcome
    assert outcome.json["error"]["reason"] == "revoked"


def serves_its_newest(namespace: Namespace, pod: Target, client: str) -> bool:
    return clients.python(pod, files(namespace, client)).status == 200


def files(namespace: Namespace, client: str) -> Files:
    return namespace.files(f"{NAME}-client-{client}")


def has_no_secret(namespace: Namespace, client: str) -> bool:
    return namespace.reader.find(SECRET, namespace.name, f"{NAME}-client-{client}") is None
