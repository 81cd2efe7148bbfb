"""Decide how the server Secret reaches the pods: touch, ask, touch again.

Kubelet takes a minute to sync a changed Secret by itself and under a second after the pod was
touched, but may then still read the old one; so a pod that was touched is asked what it serves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mtls_operator.api import names
from mtls_operator.reconcile.plan import Plan, Probe, Touch
from mtls_operator.reconcile.ports import POD, Object, Ref
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import Delivery, World
from mtls_server import contract

from .gates import unfinished

Step = Literal["ask", "touch"]

ASK_AFTER = tuple(timedelta(seconds=seconds) for seconds in (1.0, 1.5, 3.0, 6.0, 12.0))
"""How long after each touch a pod is asked whether it took effect."""
ASK_ALWAYS = timedelta(seconds=30)
"""How often a pod is asked that no touch helped, or that can not be reached."""
FIRST_RETRY = timedelta(seconds=0.5)
MOST_DOUBLINGS = 6
PATIENCE = 2
"""Touches within which a delivery is on its way, which is no news: status waits for the outcome."""


@dataclass(frozen=True, slots=True)
class PodReport:
    """Whether one pod serves what was delivered."""

    name: str
    acknowledged: bool
    settling: bool
    version: str = ""
    detail: str = ""


def served_digest(world: World) -> str | None:
    """Name the delivery that pods should serve: that of the server Secret as stored."""
    stored = world.secret(names.server_secret(world.service.metadata.name))
    return contract.digest(decode_data(stored)) if stored else None


def running_pods(world: World) -> Iterator[Object]:
    """Return the pods that can be asked: those with an address that are not finished."""
    return (pod for pod in unfinished(world.pods) if (pod.get("status") or {}).get("podIP"))


def decide_delivery(world: World, digest: str, *, rotating: bool) -> tuple[list[PodReport], Plan]:
    """Bring every pod to the delivery of this digest, and report how far each is.

    Args:
        world: where pods are, and what they said.
        digest: of the delivery.
        rotating: whether an authority is; then those that have it are asked again and again, too.
    """
    reports, plan = [], Plan()
    for pod in running_pods(world):
        report, step = _decide_pod(world, pod, digest, rotating=rotating)
        reports.append(report)
        plan += step
    return reports, plan


def next_step(delivery: Delivery, digest: str) -> tuple[Step, datetime | None]:
    """Return what brings a pod to this delivery, and not before when; None is at once."""
    if delivery.probed_at is None:
        return "ask", None
    if delivery.error:
        return "ask", delivery.probed_at + min(
            FIRST_RETRY * 2 ** min(delivery.failures, MOST_DOUBLINGS), ASK_ALWAYS
        )
    if delivery.wanted != digest or delivery.touched_at is None:
        return "touch", None
    question = delivery.touched_at + ASK_AFTER[delivery.touches - 1]
    if delivery.probed_at < question:
        return "ask", question
    if delivery.touches < len(ASK_AFTER):
        return "touch", None
    return "ask", delivery.probed_at + ASK_ALWAYS


def _decide_pod(world: World, pod: Object, digest: str, *, rotating: bool) -> tuple[PodReport, Plan]:
    metadata, address = pod["metadata"], pod["status"]["podIP"]
    name, uid = metadata["name"], metadata["uid"]
    delivery = world.deliveries.get(uid, Delivery())
    if delivery.served == digest and not delivery.error:
        report = PodReport(name, acknowledged=True, settling=False, version=delivery.version)
        return report, _ask_again(world, uid, address, delivery) if rotating else Plan()
    detail = delivery.error or f"{name} still serves generation {delivery.generation}"
    report = PodReport(name, acknowledged=False, settling=_settling(delivery, digest), detail=detail)
    step, not_before = next_step(delivery, digest)
    # A later one was set before the clock was set back: nobody is to wait for that.
    if not_before is not None and world.now < not_before <= world.now + ASK_ALWAYS:
        return report, Plan(wake=not_before)
    if step == "ask":
        return report, Plan(probes=(Probe(uid, address),))
    attempt = delivery.touches + 1 if delivery.wanted == digest else 1
    return report, Plan(touches=(Touch(Ref(POD, metadata["namespace"], name), uid, digest, attempt),))


def _ask_again(world: World, uid: str, address: str, delivery: Delivery) -> Plan:
    """Ask a pod that has what was delivered whether it still has."""
    due = (delivery.probed_at or world.now) + ASK_ALWAYS
    if world.now < due <= world.now + ASK_ALWAYS:
        return Plan(wake=due)
    return Plan(probes=(Probe(uid, address),))


def _settling(delivery: Delivery, digest: str) -> bool:
    if delivery.probed_at is None:
        return True
    return not delivery.error and (delivery.wanted != digest or delivery.touches <= PATIENCE)
