"""Decide the next steps for one service: a pure function of the world."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mtls_operator.api.problems import problems
from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.keys import KeyAlgorithm

from .authorities import Authorities, decide_authorities
from .delivery import PodReport, decide_delivery, served_digest
from .leaves import LeafReport, decide_leaf, decide_obsolete
from .paused import hold
from .plan import Plan, Problem
from .ports import Ref
from .restart import decide_restarts
from .wanted import wanted_leaves
from .workload import decide_workload
from .world import World

INVALID_SPEC = "InvalidSpec"
MOST_LEAVES: Mapping[KeyAlgorithm, int] = {"ECDSA": 100, "Ed25519": 100, "RSA": 2}
"""Leaves issued in one pass, by kind of key: an RSA key can take a second, and other services wait."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a pass found, for status."""

    authorities: Authorities | None = None
    leaves: tuple[LeafReport, ...] = ()
    pods: tuple[PodReport, ...] = ()
    paused: bool = False
    """Whether nothing was to be done."""

    @property
    def settling(self) -> bool:
        """Whether a delivery is on its way."""
        return not self.paused and any(pod.settling for pod in self.pods)


def decide(world: World, entropy: Entropy) -> tuple[Report, Plan]:
    """Return what was found and what to do next; of a paused service, only what it has to say."""
    report, plan = _decide(world, entropy)
    if world.paused:
        return replace(report, paused=True), hold(world, report.leaves, plan)
    return report, plan


def _decide(world: World, entropy: Entropy) -> tuple[Report, Plan]:
    """Decide the next steps.

    Nothing is signed before the authorities are stored, no pod is made before its Secret, and pods are
    asked only for what is stored: each step is decided on what the former ones left behind.
    """
    authorities, plan = decide_authorities(world, entropy)
    if authorities is None or plan.writes:
        return Report(authorities), plan
    try:
        wanted = {leaf.ref: leaf for leaf in wanted_leaves(world, authorities)}
    except ValueError as error:
        return Report(authorities), plan + Plan(problems=(Problem(INVALID_SPEC, str(error)),))
    plan += Plan(problems=tuple(Problem(INVALID_SPEC, sentence) for sentence in problems(world.service)))
    leaves: list[LeafReport] = []
    settled: set[Ref] = set()
    for leaf in wanted.values():
        may_issue = not world.paused and len(plan.writes) < MOST_LEAVES[leaf.profile.key.algorithm]
        report, step = decide_leaf(world, leaf, entropy, may_issue=may_issue)
        leaves.append(report)
        if not (step.writes or step.more or report.problem):
            settled.add(leaf.ref)
        plan += step
    plan += decide_obsolete(world, wanted)
    plan += decide_restarts(world, wanted.values(), settled)
    plan += decide_workload(world)
    pods: list[PodReport] = []
    digest = served_digest(world)
    if digest is not None:
        pods, step = decide_delivery(world, digest)
        plan += step
    return Report(authorities, tuple(leaves), tuple(pods)), plan
