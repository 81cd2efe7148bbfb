"""Both authorities are replaced under load, whatever goes wrong meanwhile, and no caller notices.

Four services at once, each with callers that use what is new half a minute late: one to which nothing
happens, one whose operator is killed in each phase, one with a pod that keeps its old files, one with a pod
that can not be asked. Durations are short, but for the five minutes for which a former authority is trusted
longer than its last leaf.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.cluster.layout import Cluster
from tests.e2e import sabotage
from tests.e2e.figures import Figures
from tests.e2e.installation import Operator
from tests.e2e.load import Load, SecretFollower
from tests.e2e.manifests import SHORT_LIVED, mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import MTLS_SERVICE, Object, Reader
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

ROTATE = "mtls-operator.io/rotate-authority"
LEAF = "180s"
LAG = 30.0
"""Seconds after which a caller uses what its Secret says."""
PROPAGATION = "45s"
KEPT_CONNECTIONS, FRESH_PER_SECOND = 40, 20
"""Two requests a second on each connection, and one on each fresh one: 100 requests a second."""
SIGNING = 120
"""Seconds until both authorities sign, where nothing holds them up."""
ROLLED = 480
"""The same where a pod must be replaced, for which the operator waits five minutes."""
CALM_FIRST = 75
"""Seconds for the service to which nothing is to happen, before the operator is killed for another."""
RETIRED = 600
"""Seconds until the former ones are trusted no more: the longest leaf, and five minutes."""


@dataclass(frozen=True)
class Scenario:
    """One service, its callers, and what is read of it; each has a reader of its own for its thread."""

    name: str
    namespace: Namespace
    cluster: Cluster
    reader: Reader

    def begin(self, duration: str = LEAF) -> None:
        authority = {"generated": {"duration": "4h"}}
        self.namespace.apply_ready(
            mtls_service(
                self.name,
                self.namespace.name,
                SHORT_LIVED,
                replicas=2,
                certificates={"duration": duration},
                clients=[{"name": "billing", "duration": LEAF}],
                authority={"server": authority, "client": authority, "propagation": PROPAGATION},
            ),
            seconds=60,
        )

    @contextmanager
    def load(self) -> Iterator[Load]:
        """Call the service; that nothing failed is asserted in the end."""
        secret = f"{self.name}-client-billing"
        folder = self.namespace.folder / secret
        service = self.namespace.target(self.name)
        with (
            SecretFollower(self.cluster.kubeconfig, self.namespace.name, secret, folder, lag=LAG) as billing,
            Load(
                kept=service,
                fresh=[service],
                steady=lambda: billing.context,
                brief=lambda: billing.context,
                kept_connections=KEPT_CONNECTIONS,
                fresh_per_second=FRESH_PER_SECOND,
                kept_for=20,
            ) as load,
        ):
            began = time.monotonic()
            yield load
            lasted = time.monotonic() - began
        assert load.failures == []
        assert load.requests + len(load.met) > 50 * lasted, "the machine was too slow for this load"

    def rotate(self) -> None:
        self.namespace.kubectl(
            "annotate", f"mtls/{self.name}", f"--namespace={self.namespace.name}", f"{ROTATE}=now"
        )

    @property
    def rotating(self) -> Object:
        return self.reader.condition(self.namespace.name, self.name, "AuthorityRotating")

    def authorities(self) -> dict[str, str]:
        authorities = self.reader.get(MTLS_SERVICE, self.namespace.name, self.name)["status"]["authorities"]
        return {role: authorities[role]["fingerprint"] for role in ("server", "client")}

    def until_prepared(self) -> None:
        until(f"{self.name}: Prepared", lambda: self.rotating.get("reason") == "Prepared", seconds=20)

    def until_signing(self, former: dict[str, str], *, seconds: float = SIGNING) -> None:
        def look() -> bool:
            now = self.authorities()
            return all(now[role] != former[role] for role in former)

        self._until("both new authorities sign", look, seconds=seconds)

    def until_retired(self, *, seconds: float = RETIRED) -> None:
        self._until("retired", lambda: self.rotating.get("reason") == "Idle", seconds=seconds)

    def _until(self, what: str, look: Callable[[], bool], *, seconds: float) -> None:
        try:
            until(f"{self.name}: {what}", look, seconds=seconds, every=0.5)
        except AssertionError as late:
            raise AssertionError(f"{late}; its condition: {self.rotating}") from None


def test_authorities_rotate_under_load_whatever_goes_wrong(
    namespace: Namespace, cluster: Cluster, operator: Operator, figures: Figures
) -> None:
    def scenario(name: str) -> Scenario:
        return Scenario(name, namespace, cluster, Reader(cluster.kubeconfig))

    calm, killed, stale, silent = map(scenario, ("calm", "killed", "stale", "silent"))
    for each in (calm, killed, silent):
        each.begin()
    stale.begin(duration="30m")  # the old files of its pod must hold for as long as it is waited for
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        undisturbed = threads.submit(rotate_calmly, calm)
        others = [
            threads.submit(rotate_with_a_stale_pod, stale),
            threads.submit(rotate_with_a_silent_pod, silent, operator),
        ]
        others.append(threads.submit(rotate_while_the_operator_is_killed, killed, operator))
        requests = [each.result() for each in (undisturbed, *others)]
    figures.record("Requests during four rotations, of which none failed", sum(requests), "")
    figures.record("Four rotations of both authorities side by side", time.monotonic() - began, "s", 900)


def rotate_calmly(scenario: Scenario) -> int:
    former = scenario.authorities()
    with scenario.load() as load:
        scenario.rotate()
        scenario.until_prepared()
        scenario.until_signing(former)
        scenario.until_retired()
    return load.requests + len(load.met)


def rotate_while_the_operator_is_killed(scenario: Scenario, operator: Operator) -> int:
    """It is killed in each phase, and goes on where the Secrets say that it was."""
    former = scenario.authorities()
    with scenario.load() as load:
        time.sleep(CALM_FIRST)
        scenario.rotate()
        scenario.until_prepared()
        kill_operator(scenario, operator)
        scenario.until_signing(former)
        kill_operator(scenario, operator)
        until("Signing", lambda: scenario.rotating.get("reason") == "Signing", seconds=60)
        scenario.until_retired()
        kill_operator(scenario, operator)
        scenario.until_retired(seconds=60)
    return load.requests + len(load.met)


def kill_operator(scenario: Scenario, operator: Operator) -> None:
    (pod,) = operator.pods_seen_by(scenario.reader)
    sabotage.kill(pod, "mtls-operator")


def rotate_with_a_stale_pod(scenario: Scenario) -> int:
    """The pod is waited for and named, then replaced, and rotation goes on."""
    pods = scenario.reader.pods(scenario.namespace.name, scenario.name)
    held = pods[0]["metadata"]
    sabotage.hold_stale(scenario.cluster, pods[0])
    former = scenario.authorities()
    with scenario.load() as load:
        scenario.rotate()
        named = f"1/2 pods; {held['name']} still serves generation"
        until("it is named", lambda: named in scenario.rotating.get("message", ""), seconds=60)
        scenario.until_signing(former, seconds=ROLLED)
        left = {
            pod["metadata"]["uid"] for pod in scenario.reader.pods(scenario.namespace.name, scenario.name)
        }
        assert held["uid"] not in left
    return load.requests + len(load.met)


def rotate_with_a_silent_pod(scenario: Scenario, operator: Operator) -> int:
    """The pod that can not be asked is named, and time stands for its answer."""
    pod = scenario.reader.pods(scenario.namespace.name, scenario.name)[0]
    (asking,) = operator.pods_seen_by(scenario.reader)
    sabotage.cut_off(pod, asking)
    former = scenario.authorities()
    with scenario.load() as load:
        scenario.rotate()
        until(
            "it is named",
            lambda: f"{pod['metadata']['name']}: " in scenario.rotating.get("message", ""),
            seconds=60,
        )
        scenario.until_signing(former)
    return load.requests + len(load.met)
