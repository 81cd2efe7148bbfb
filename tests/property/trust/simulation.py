"""One service in a world with a clock of its own: its Secrets, its pods, its callers, its operator."""

import base64
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509

from mtls_operator.api import defaults, names
from mtls_operator.api.types import MTLSService
from mtls_operator.reconcile.decide.service import Report
from mtls_operator.reconcile.plan import Notice, Plan, Probe, Touch
from mtls_operator.reconcile.ports import DEPLOYMENT, SECRET, Object, Ref
from mtls_operator.reconcile.status.service import build_status
from mtls_operator.reconcile.world import Delivery as Known
from tests.unit.reconcile.universe import Universe, service_object

from .kubelet import Delivery, Pod

SERVER = Ref(SECRET, "shop", "orders-server")
AUTHORITY = Ref(SECRET, "mtls-system", names.authority_secret("uid-1"))
MOST_ROUNDS = 40
ROLL_TAKES = timedelta(seconds=20)
STUBBORN = timedelta(seconds=0.5)


class EndlessError(AssertionError):
    """The operator never comes to rest."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One version of a caller's Secret, and until when it was the newest."""

    anchors: frozenset[x509.Certificate]
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedLeaf:
    """A leaf certificate that somebody may hold until it ends."""

    secret: Ref
    certificate: x509.Certificate
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """A step that was taken although not all were ready for it, and from when on that is right."""

    what: str
    now: datetime
    deadline: datetime


@dataclass
class Simulation:
    """Time passes in steps as small as anything happens; after each, whoever is due acts."""

    spec: Object
    universe: Universe = field(init=False)
    pods: list[Pod] = field(default_factory=list)
    leaves: list[IssuedLeaf] = field(default_factory=list)
    """In order of issue."""
    longest: timedelta = timedelta()
    """Of all that were ever issued."""
    bundles: dict[Ref, list[Bundle]] = field(default_factory=dict)
    """Versions of each caller's Secret, oldest first."""
    revoked_at: dict[str, datetime] = field(default_factory=dict)
    """URI to when a person last had its certificates refused."""
    signed_early: set[x509.Certificate] = field(default_factory=set)
    """Leaves that had to be signed before all trusted their authority, of which a warning told."""
    skips: list[Skip] = field(default_factory=list)
    hasty_until: datetime | None = None
    """Until when leaves may be of an authority that signs before all trust it, by choice or at the end."""
    lost: set[Ref] = field(default_factory=set)
    """Secrets that somebody deleted by accident."""
    operator_down: bool = False
    report: Report = field(default_factory=Report)
    plan: Plan = field(default_factory=Plan)
    versions: list[tuple[datetime, Delivery]] = field(default_factory=list)
    """The server Secret since when, oldest first."""
    authorities_seen: set[x509.Certificate] = field(default_factory=set)
    revocations: dict[str, datetime] = field(default_factory=dict)
    """URI to the latest moment that a policy named; what is revoked once is not asked for again."""
    _pods_made: int = 0
    _template: str = ""
    _rolls_at: datetime | None = None

    def __post_init__(self) -> None:
        self.universe = Universe(service_object(copy.deepcopy(self.spec)))
        self.settle()
        self.universe.writes.clear()

    @property
    def now(self) -> datetime:
        return self.universe.now

    @property
    def propagation(self) -> timedelta:
        return defaults.propagation(MTLSService.model_validate(self.universe.service))

    @property
    def authorities_end(self) -> datetime:
        """When the first of those that sign ends."""
        signing = [rotation.generations.signing for rotation in self.report.rotations]
        return min((authority.not_after for authority in signing if authority), default=self.now)

    def begin_anew(self) -> None:
        """Forget who holds what: somebody asked for an outage, or there was no way around one."""
        self.hasty_until = self.now + self.propagation
        self.signed_early |= {leaf.certificate for leaf in self.leaves}
        self.signed_early |= {pod.mounted.leaf for pod in self.pods}
        self.leaves.clear()
        self.bundles.clear()
        self._look_around()

    # The operator

    def settle(self) -> None:
        """Let the operator work until it only waits."""
        for _ in range(MOST_ROUNDS):
            if not self.step():
                return
        raise EndlessError(self.universe.writes[-12:])

    def step(self, survive: int | None = None) -> bool:
        """Make one round of the operator; return whether it did anything.

        Args:
            survive: after how many steps it is killed; None is never.
        """
        self.report, self.plan = self.universe.decide()
        steps = [*self.plan.writes, *self.plan.touches, *self.plan.probes][:survive]
        for one in steps:
            if isinstance(one, Touch):
                self._touch(one)
            elif isinstance(one, Probe):
                self._probe(one)
            else:
                before = self.last_leaves(), self.universe.objects.get(AUTHORITY)
                self.universe.carry_out(Plan(writes=(one,)))
                self._look_around()
                self._heed(getattr(one, "notice", None), *before)
        if survive is not None:
            self.crash()
        elif not self.plan.acts:
            status = build_status(self.universe.world(), self.report, self.plan.problems)
            self.universe.service = {**self.universe.service, "status": status}
        return self.plan.acts

    def crash(self) -> None:
        """The operator loses what it knew beside what is stored."""
        self.universe.deliveries.clear()

    def last_leaves(self) -> dict[Ref, IssuedLeaf]:
        return {leaf.secret: leaf for leaf in self.leaves}

    def _heed(self, notice: Notice | None, leaves: dict[Ref, IssuedLeaf], authority: Object | None) -> None:
        """Take down what a warning tells of: that something had to be done before its time."""
        if notice is None or notice.severity != "Warning":
            return
        if notice.reason == "AuthorityDistrusted":
            self.begin_anew()
        elif notice.reason == "AuthorityGateSkipped":
            self._judge_skip(authority)
        elif notice.reason == "AuthorityLost":
            self._judge_early_leaf(leaves)

    def _judge_skip(self, before: Object | None) -> None:
        """Whoever does not trust the successor by now is cut off: from here on, others count."""
        data = {name: base64.b64decode(value) for name, value in before["data"].items()} if before else {}
        ends = [
            x509.load_pem_x509_certificate(data[f"{role}.crt"]).not_valid_after_utc
            for role in ("server", "client")
            if f"{role}.key" in data
        ]
        if ends:
            self.skips.append(Skip("a gate was skipped", self.now, min(ends) - 2 * self.longest))
        self.begin_anew()

    def _judge_early_leaf(self, before: dict[Ref, IssuedLeaf]) -> None:
        for ref, leaf in self.last_leaves().items():
            former = before.get(ref)
            if former is None or former.certificate != leaf.certificate:
                self.signed_early.add(leaf.certificate)
                if former is not None:
                    ends = former.certificate.not_valid_after_utc
                    rest = (ends - former.certificate.not_valid_before_utc) / 5
                    self.skips.append(Skip(f"{ref.name} was signed early", self.now, ends - rest))

    def _touch(self, touch: Touch) -> None:
        pod = next((pod for pod in self.pods if pod.uid == touch.uid), None)
        known = self.universe.deliveries.get(touch.uid, Known())
        self.universe.deliveries[touch.uid] = known.touched(touch.digest, touch.attempt, self.now)
        if pod is not None:
            pod.touch(self.now)

    def _probe(self, probe: Probe) -> None:
        pod = next((pod for pod in self.pods if pod.uid == probe.uid), None)
        known = self.universe.deliveries.get(probe.uid, Known())
        self.universe.deliveries[probe.uid] = (
            known.answered(pod.state(), self.now)
            if pod is not None and pod.reachable
            else known.failed(f"{probe.address}: connection refused", self.now)
        )

    # The cluster

    def _look_around(self) -> None:
        """Take down what was just written: new leaves, new bundles, a new template."""
        for ref, secret in self.universe.objects.items():
            if ref.resource == SECRET and ref != AUTHORITY:
                self._take_down(ref, secret)
        for ref in self.bundles.keys() - self.universe.objects.keys() - self.lost:
            del self.bundles[ref]  # of somebody who is no caller any more
        self.lost -= self.universe.objects.keys()
        deployment = self.universe.objects.get(Ref(DEPLOYMENT, "shop", "orders"))
        if deployment is None:
            return
        template = json.dumps(deployment["spec"]["template"], sort_keys=True)
        if template != self._template:
            self._template = template
            self._rolls_at = self.now + ROLL_TAKES if self.pods else self.now
        for pod in self.pods:
            if self.newest is not None and pod.mounted.digest != self.newest.digest:
                pod.notice(self.now)

    def _take_down(self, ref: Ref, secret: Object) -> None:
        delivery = Delivery.of(secret)
        known = next((leaf for leaf in reversed(self.leaves) if leaf.secret == ref), None)
        try:
            leaf, anchors = delivery.leaf, frozenset(delivery.anchors)
        except (KeyError, ValueError):
            return  # somebody damaged it
        self.authorities_seen |= anchors
        if known is None or known.certificate != leaf:
            self.leaves.append(IssuedLeaf(ref, leaf, self.now))
            self.longest = max(self.longest, leaf.not_valid_after_utc - self.now)
            if self.hasty_until is not None and self.now < self.hasty_until:
                self.signed_early.add(leaf)
        if ref == SERVER:
            self.revocations |= delivery.policy.revoked
            if not self.versions or self.versions[-1][1].digest != delivery.digest:
                self.versions.append((self.now, delivery))
            return
        versions = self.bundles.setdefault(ref, [])
        if not versions or versions[-1].until is not None or versions[-1].anchors != anchors:
            self._end_bundle(ref)
            versions.append(Bundle(anchors, self.now, None))

    def _end_bundle(self, ref: Ref) -> None:
        versions = self.bundles[ref]
        if versions and versions[-1].until is None:
            versions[-1] = replace(versions[-1], until=self.now)

    @property
    def newest(self) -> Delivery | None:
        secret = self.universe.objects.get(SERVER)
        return Delivery.of(secret) if secret else None

    def _roll(self) -> None:
        """The Deployment's controller replaces pods of an older template, and makes missing ones."""
        if self._rolls_at is None or self.now < self._rolls_at or self.newest is None:
            return
        self._rolls_at = None
        wanted = self.universe.service["spec"].get("replicas", 2)
        self.pods = [pod for pod in self.pods if pod.template == self._template][:wanted]
        while len(self.pods) < wanted:
            self.start_pod(self.newest)
        self._publish_pods()

    def start_pod(self, mounted: Delivery) -> Pod:
        self._pods_made += 1
        pod = Pod(f"orders-{self._pods_made}", mounted, self._template)
        pod.behind = self.newest is not None and mounted.digest != self.newest.digest
        self.pods.append(pod)
        return pod

    def _publish_pods(self) -> None:
        self.universe.pods = [
            {
                "metadata": {
                    "name": pod.name,
                    "namespace": "shop",
                    "uid": pod.uid,
                    "resourceVersion": "1",
                    "labels": {},
                },
                "status": {"podIP": f"10.0.0.{number}", "phase": "Running"},
            }
            for number, pod in enumerate(self.pods, 1)
        ]
        alive = {pod.uid for pod in self.pods}
        for uid in self.universe.deliveries.keys() - alive:
            del self.universe.deliveries[uid]

    # Accidents

    def lose(self, ref: Ref) -> None:
        """Somebody deletes a Secret."""
        self.universe.objects.pop(ref, None)
        self.lost.add(ref)
        if ref in self.bundles:
            self._end_bundle(ref)

    def scale(self, replicas: int) -> None:
        """The pods of a Deployment become more or fewer at once."""
        self.pods = self.pods[:replicas]
        if self.newest is not None:
            while len(self.pods) < replicas:
                self.start_pod(self.newest)
        self._publish_pods()

    def restart_pod(self, which: int, age: timedelta) -> None:
        """Another pod takes the place of one, with the Secret as it was so long ago."""
        versions = [delivery for since, delivery in self.versions if since <= self.now - age]
        if which < len(self.pods) and versions:
            del self.pods[which]
            self.start_pod(versions[-1]).notice(self.now)
            self._publish_pods()

    def hold(self, which: int, *, held: bool) -> None:
        for pod in self.pods[which : which + 1]:
            pod.held = held
            pod.notice(self.now)

    def reach(self, which: int, *, reachable: bool) -> None:
        for pod in self.pods[which : which + 1]:
            pod.reachable = reachable
            pod.behind |= not reachable

    def slow_down(self, which: int, lag: timedelta) -> None:
        for pod in self.pods[which : which + 1]:
            pod.lag = lag

    # Time

    def pass_time(self, duration: timedelta) -> Iterator[None]:
        """Advance, stopping wherever something happens; yields at each stop, for whoever looks on."""
        end = self.now + duration
        while self.now < end:
            self.universe.now = min(self._next_event(end), end)
            for pod in self.pods:
                pod.mount(self.newest, self.now)
            self._roll()
            if not self.operator_down:
                self.settle()
            yield

    def _next_event(self, end: datetime) -> datetime:
        moments = [pod.syncs_at for pod in self.pods] + [self._rolls_at]
        if not self.operator_down:
            moments.append(self.plan.wake)
        return max(
            min([moment for moment in moments if moment is not None], default=end), self.now + STUBBORN
        )
