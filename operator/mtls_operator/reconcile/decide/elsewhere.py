"""Decide about the leaves of MTLSClients, which their service neither waits for nor complains about."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mtls_operator.api.types import MTLSClient
from mtls_operator.pki.entropy import Entropy
from mtls_operator.reconcile.plan import NAME_TAKEN, RETRY_REFUSED, Create, Plan, Problem, Replace, Write
from mtls_operator.reconcile.ports import Ref, ref_of
from mtls_operator.reconcile.world import World

from .consent import client_ref, name_taken
from .leaves import LeafReport, decide_leaf
from .restart import decide_restarts
from .wanted import WantedLeaf


def decide_elsewhere(
    world: World, wanted: WantedLeaf, client: MTLSClient, entropy: Entropy, *, may_issue: bool
) -> tuple[LeafReport, Plan]:
    """Decide as about any leaf, but let its MTLSClient alone hear of problems, writes and refusals.

    Args:
        world: where its Secret is, or is missing.
        wanted: the leaf as the MTLSClient asks for it.
        client: the MTLSClient.
        entropy: source of its key and serial.
        may_issue: false: a later pass will.
    """
    refused = world.refused.get(wanted.ref)
    report, plan = decide_leaf(world, wanted, entropy, may_issue=may_issue and refused is None)
    report = replace(report, caller=client_ref(client), problem=_problem(wanted, report))
    if refused is not None and (plan.writes or plan.more):
        return replace(report, problem=refused.problem), Plan(wake=refused.at + RETRY_REFUSED)
    writes = tuple(_attributed(write, client) for write in plan.writes)
    return report, replace(plan, writes=writes, problems=())


def decide_restarts_elsewhere(
    world: World, wanted: Iterable[WantedLeaf], settled: Mapping[Ref, bool]
) -> tuple[Mapping[Ref, Problem], Plan]:
    """Roll what MTLSClients name, those of each namespace together; return the problem of each, and the plan.

    Args:
        world: what is stored, and what is known of workloads.
        wanted: leaves of MTLSClients.
        settled: Secret to whether it is as it should be, or will be soon.
    """
    leaves = [leaf for leaf in wanted if leaf.restart]
    clients = {leaf.ref: leaf.caller for leaf in leaves if leaf.caller}
    by_namespace: defaultdict[str, list[WantedLeaf]] = defaultdict(list)
    for leaf in leaves:
        by_namespace[leaf.ref.namespace].append(leaf)
    problems: dict[Ref, Problem] = {}
    plan = Plan()
    for namespace, of_namespace in by_namespace.items():
        step = decide_restarts(world, of_namespace, settled)
        here = [client for ref, client in clients.items() if ref.namespace == namespace]
        problems |= {client_ref(client): problem for client in here for problem in step.problems[:1]}
        writes = (
            _attributed(write, clients[ref_of(write.resource, write.body)])
            for write in step.writes
            if isinstance(write, Replace)
        )
        restarts = tuple(replace(restart, caller=client_ref(here[0])) for restart in step.restarts)
        plan += replace(step, writes=tuple(writes), restarts=restarts, problems=())
    return problems, plan


def _problem(wanted: WantedLeaf, report: LeafReport) -> Problem | None:
    if report.problem is None:
        return wanted.problem
    return name_taken(wanted.ref) if report.problem.reason == NAME_TAKEN else report.problem


def _attributed(write: Write, client: MTLSClient) -> Write:
    if not isinstance(write, Create | Replace):
        return write
    notice = replace(write.notice, caller=client_ref(client)) if write.notice else None
    return replace(write, notice=notice, caller=client)
