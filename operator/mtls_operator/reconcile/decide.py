"""Decide the next steps for one service: a pure function of the world."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mtls_operator.api.problems import problems
from mtls_operator.desired.keyring import Keyring
from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.keys import KeyAlgorithm

from .authorities import decide_authorities
from .delivery import PodReport, decide_delivery, served_digest
from .leaves import LeafReport, decide_leaf, decide_obsolete
from .paused import hold
from .plan import Plan, Problem
from .ports import Ref
from .restart import decide_restarts
from .rotation import Rotation
from .wanted import wanted_leaves
from .workload import decide_workload
from .world import World

INVALID_SPEC = "InvalidSpec"
MOST_LEAVES: Mapping[KeyAlgorithm, int] = {"ECDSA": 100, "Ed25519": 100, "RSA": 2}
"""Leaves issued in one pass, by kind of key: an RSA key can take a second, and other services wait."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a pass found, for status."""

    keyring: Keyring | None = None
    rotations: tuple[Rotation, ...] = ()
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
    keyring, rotations, first = decide_authorities(world, entropy)
    if keyring is None:
        return Report(), first
    try:
        wanted = {leaf.ref: leaf for leaf in wanted_leaves(world, keyring)}
    except ValueError as error:
        return Report(keyring, rotations), first + Plan(problems=(Problem(INVALID_SPEC, str(error)),))
    may_issue = not (first.writes or world.paused)
    plan = first + Plan(
        problems=tuple(Problem(INVALID_SPEC, sentence) for sentence in problems(world.service))
    )
    leaves: list[LeafReport] = []
    settled: set[Ref] = set()
    for leaf in wanted.values():
        in_turn = len(plan.writes) < MOST_LEAVES[leaf.profile.key.algorithm]
        report, step = decide_leaf(world, leaf, entropy, may_issue=may_issue and in_turn)
        leaves.append(report)
        if not (step.writes or step.more or report.problem):
            settled.add(leaf.ref)
        plan += step
    plan += decide_obsolete(world, wanted)
    plan += decide_restarts(world, wanted.values(), settled)
    plan += decide_workload(world, restart=next((each.restart for each in rotations if each.restart), ""))
    pods: list[PodReport] = []
    digest = served_digest(world)
    if digest is not None:
        pods, step = decide_delivery(world, digest, rotating=any(each.phase != "Idle" for each in rotations))
        plan += step
    return Report(keyring, rotations, tuple(leaves), tuple(pods)), first if first.writes else plan
