"""Decide the next steps for one service: a pure function of the world."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mtls_operator.api.problems import problems
from mtls_operator.desired.keyring import ROLES, Keyring
from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.keys import KeyAlgorithm
from mtls_operator.reconcile.plan import Plan, Problem
from mtls_operator.reconcile.ports import Ref
from mtls_operator.reconcile.world import Admission, World

from .authorities import decide_authorities
from .consent import withdraw
from .delivery import PodReport, decide_delivery, served_digest
from .elsewhere import decide_elsewhere, decide_restarts_elsewhere
from .leaves import LeafReport, decide_leaf, decide_obsolete
from .order import server_first
from .paused import hold, overdue
from .restart import decide_restarts
from .rotation import Rotation
from .sources import ending
from .trust import decide_trust
from .wanted import WantedLeaf, wanted_leaves
from .workload import decide_workload

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
    admission: Admission = field(default_factory=Admission)
    """What the MTLSClients are told that name the service."""
    warnings: tuple[Problem, ...] = ()
    """What a person should know, although nothing is wrong yet."""
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
        warnings = (*report.warnings, *overdue(world, report.leaves))
        return replace(report, paused=True, warnings=warnings), hold(world, report.leaves, plan)
    return report, plan


def _decide(world: World, entropy: Entropy) -> tuple[Report, Plan]:
    """Decide the next steps.

    Nothing is signed before the authorities are stored, no pod is made before its Secret, and pods are
    asked only for what is stored: each step is decided on what the former ones left behind.
    """
    keyring, rotations, first = decide_authorities(world, entropy)
    if keyring is None or (first.writes and not world.paused):
        return Report(keyring, rotations), first
    if not all(keyring.of(role).anchors for role in ROLES):
        return Report(keyring, rotations), first  # whoever verified, would have nothing to verify by
    trust = decide_trust(world, keyring.client.anchors)
    try:
        wanted = tuple(wanted_leaves(world, keyring, trust))
    except ValueError as error:
        return Report(keyring, rotations), first + Plan(problems=(Problem(INVALID_SPEC, str(error)),))
    invalid = tuple(Problem(INVALID_SPEC, sentence) for sentence in problems(world.service))
    plan = first + Plan(problems=(*trust.problems, *invalid), wake=trust.wake)
    leaves: list[LeafReport] = []
    settled: dict[Ref, bool] = {}
    for leaf in wanted:
        in_turn = len(plan.writes) < MOST_LEAVES[leaf.profile.key.algorithm]
        report, step = _decide_leaf(world, leaf, entropy, may_issue=in_turn and not world.paused)
        leaves.append(report)
        if step.writes or step.more or not report.problem:
            settled[leaf.ref] = not (step.writes or step.more)
        plan += step
    plan += decide_obsolete(world, {leaf.ref for leaf in wanted})
    plan += decide_restarts(world, (leaf for leaf in wanted if not leaf.caller), settled)
    admission, step = _decide_callers(world, wanted, settled)
    plan += step
    plan += decide_workload(world, restart=next((each.restart for each in rotations if each.restart), ""))
    pods: list[PodReport] = []
    digest = served_digest(world)
    if digest is not None:
        pods, step = decide_delivery(world, digest, rotating=any(each.phase != "Idle" for each in rotations))
        plan += step
    endings = filter(None, (ending(world, keyring.of(role)) for role in ROLES))
    warnings = (*endings, *trust.warnings)
    found = Report(keyring, rotations, tuple(leaves), tuple(pods), admission, warnings)
    return found, server_first(world, plan)


def _decide_leaf(
    world: World, wanted: WantedLeaf, entropy: Entropy, *, may_issue: bool
) -> tuple[LeafReport, Plan]:
    if wanted.caller is None:
        return decide_leaf(world, wanted, entropy, may_issue=may_issue)
    return decide_elsewhere(world, wanted, wanted.caller, entropy, may_issue=may_issue)


def _decide_callers(
    world: World, wanted: Iterable[WantedLeaf], settled: Mapping[Ref, bool]
) -> tuple[Admission, Plan]:
    problems, plan = decide_restarts_elsewhere(world, (leaf for leaf in wanted if leaf.caller), settled)
    known = replace(world.admission, problems={**problems, **world.admission.problems})
    return known, plan + withdraw(world)
