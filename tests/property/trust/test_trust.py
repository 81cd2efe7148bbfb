"""Trust never breaks: whatever people, pods, time and crashes do, what is in service verifies.

The clock is virtual. Every stop of it, and every write of the operator, is a state that must hold.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mtls_operator.api import names
from mtls_operator.reconcile.ports import SECRET, Ref

from .invariants import violations
from .simulation import AUTHORITY, EndlessError, Simulation

CLIENTS = ("billing", "audit", "ledger")
SPEC: dict[str, Any] = {
    "replicas": 2,
    "certificates": {"duration": "1h"},
    "authority": {
        "server": {"generated": {"duration": "12h"}},
        "client": {"generated": {"duration": "12h"}},
        "propagation": "2m",
    },
    "clients": [{"name": "billing"}, {"name": "audit", "duration": "30m"}],
}
MOST_MINUTES = 90
MOST_WRITES_AT_REST = 40
"""Of the authority Secret in two hours: rotation by age, eight retirements, ends of the ledger."""
QUARTERS_TO_REST = 32
"""A rotation takes two hours here, and another may follow by age."""


class Trust(RuleBasedStateMachine):
    """One service with two pods and a few callers."""

    @initialize()
    def begin(self) -> None:
        self.world = Simulation(SPEC)
        self.asked = 0
        self._pass(timedelta(minutes=1))

    def _pass(self, duration: timedelta) -> None:
        for _ in self.world.pass_time(duration):
            self._check()

    def _check(self) -> None:
        found = violations(self.world)
        assert not found, "\n".join(found)

    def _ask(self, annotation: str, prefix: str = "") -> None:
        self.asked += 1
        metadata = self.world.universe.service["metadata"]
        metadata["annotations"] = metadata.get("annotations", {}) | {annotation: f"{prefix}{self.asked}"}

    def _refuse(self, clients: Iterable[str]) -> None:
        """What these hold now is to be refused as soon as the operator sees it."""
        for client in clients:
            uri = names.client_uri("cluster.local", "shop", "orders", client)
            self.world.revoked_at[uri] = self.world.now
        self._pass(timedelta(seconds=1))

    # Time

    @rule(minutes=st.integers(1, MOST_MINUTES))
    def time_passes(self, minutes: int) -> None:
        self._pass(timedelta(minutes=minutes))

    @rule(seconds=st.integers(1, 90))
    def a_moment_passes(self, seconds: int) -> None:
        self._pass(timedelta(seconds=seconds))

    # People

    @rule()
    def a_rotation_is_asked_for(self) -> None:
        self._ask(names.ANNOTATION_ROTATE_AUTHORITY)

    @rule()
    def the_authorities_are_distrusted(self) -> None:
        self._ask(names.ANNOTATION_ROTATE_AUTHORITY, "distrust/")

    @rule()
    def new_leaves_are_asked_for(self) -> None:
        self._ask(names.ANNOTATION_REISSUE)

    @rule()
    def everybody_is_revoked(self) -> None:
        self._ask(names.ANNOTATION_REISSUE, "revoke/")
        self._refuse(client["name"] for client in self.world.universe.service["spec"]["clients"])

    @rule(duration=st.sampled_from(["20m", "1h", "90m"]))
    def the_duration_changes(self, duration: str) -> None:
        self.world.universe.service["spec"]["certificates"] = {"duration": duration}

    @rule(duration=st.sampled_from(["12h", "16h"]), role=st.sampled_from(["server", "client"]))
    def the_life_of_an_authority_changes(self, duration: str, role: str) -> None:
        self.world.universe.service["spec"]["authority"][role] = {"generated": {"duration": duration}}

    @rule(clients=st.lists(st.sampled_from(CLIENTS), unique=True, max_size=3), revoked=st.booleans())
    def the_clients_change(self, clients: list[str], revoked: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        spec = self.world.universe.service["spec"]
        former = {client["name"] for client in spec["clients"] if not client.get("revoked")}
        listed: list[dict[str, Any]] = [{"name": name} for name in clients]
        if listed and revoked:
            listed[0]["revoked"] = True
        spec["clients"] = listed
        self._refuse(former - {client["name"] for client in listed if not client.get("revoked")})

    @rule(replicas=st.integers(0, 3))
    def the_service_is_scaled(self, replicas: int) -> None:
        self.world.universe.service["spec"]["replicas"] = replicas
        self.world.scale(replicas)

    # Accidents

    @rule(survive=st.integers(0, 6))
    def the_operator_dies_between_two_steps(self, survive: int) -> None:
        self.world.step(survive)
        self._check()

    @rule()
    def the_operator_forgets_a_pod_that_it_waits_for(self) -> None:
        self.world.hold(0, held=True)
        self._ask(names.ANNOTATION_ROTATE_AUTHORITY)
        self._pass(timedelta(minutes=3))
        self.world.crash()
        self._ask(names.ANNOTATION_REISSUE)
        self._pass(timedelta(seconds=3))
        self.world.hold(0, held=False)

    @rule()
    def certificates_become_shorter_before_a_rotation(self) -> None:
        for duration in ("90m", "20m"):
            self.world.universe.service["spec"]["certificates"] = {"duration": duration}
            self._pass(timedelta(minutes=1))
        self._ask(names.ANNOTATION_ROTATE_AUTHORITY)
        self._pass(timedelta(minutes=45))

    @rule()
    def the_operator_is_away_until_the_authorities_almost_end(self) -> None:
        self.world.operator_down = True
        self.world.crash()
        self._pass(max(self.world.authorities_end - timedelta(minutes=20) - self.world.now, timedelta()))
        self.world.operator_down = False
        self._pass(timedelta(minutes=1))

    @rule(minutes=st.integers(1, 45))
    def the_operator_is_away(self, minutes: int) -> None:
        self.world.operator_down = True
        self.world.crash()
        self._pass(timedelta(minutes=minutes))
        self.world.operator_down = False
        self._pass(timedelta(seconds=5))

    @rule(name=st.sampled_from(["orders-server", "orders-client-billing", "orders-client-audit"]))
    def a_secret_is_lost(self, name: str) -> None:
        self.world.lose(Ref(SECRET, "shop", name))

    @rule()
    def the_authorities_are_lost(self) -> None:
        self.world.lose(AUTHORITY)

    # Pods

    @rule(which=st.integers(0, 2), age=st.integers(0, 120))
    def a_pod_starts_again_with_an_old_secret(self, which: int, age: int) -> None:
        self.world.restart_pod(which, timedelta(seconds=age))

    @rule(which=st.integers(0, 2), held=st.booleans())
    def a_pod_is_held_stale_or_let_go(self, which: int, held: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        self.world.hold(which, held=held)

    @rule(which=st.integers(0, 2), reachable=st.booleans())
    def a_pod_goes_silent_or_answers(self, which: int, reachable: bool) -> None:  # noqa: FBT001
        self.world.reach(which, reachable=reachable)

    @rule(which=st.integers(0, 2), seconds=st.integers(1, 40))
    def a_node_is_slow(self, which: int, seconds: int) -> None:
        self.world.slow_down(which, timedelta(seconds=seconds))

    @invariant()
    def trust_holds(self) -> None:
        note(f"{self.world.now:%d %H:%M:%S} {self.world.universe.writes[-6:]}")
        self._pass(timedelta(seconds=1))

    def teardown(self) -> None:
        """However it went, everything comes to rest: what was asked for is done, and nothing is written."""
        if not hasattr(self, "world"):
            return
        for pod in self.world.pods:
            pod.held, pod.reachable = False, True
        for _ in range(QUARTERS_TO_REST):
            self._pass(timedelta(minutes=15))
            if self._is_at_rest():
                break
        else:
            raise EndlessError(self.world.report.rotations, self.world.plan.problems)
        before = len(self.world.universe.writes)
        self._pass(timedelta(hours=2))
        after = self.world.universe.writes[before:]
        assert sum("authority" in write for write in after) <= MOST_WRITES_AT_REST, after

    def _is_at_rest(self) -> bool:
        served = {pod.mounted.digest for pod in self.world.pods}
        return (
            served <= {self.world.newest and self.world.newest.digest}
            and all(rotation.generations.next is None for rotation in self.world.report.rotations)
            and not self.world.plan.problems
        )


TestTrust = Trust.TestCase
TestTrust.settings = settings(
    max_examples=12,
    stateful_step_count=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a day in a shrunk world takes as long
    suppress_health_check=[HealthCheck.too_slow],
)
