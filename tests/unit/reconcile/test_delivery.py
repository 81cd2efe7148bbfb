"""How a new server Secret reaches the pods, and when a pod is asked, touched, or left alone."""

from datetime import timedelta

import pytest

from mtls_operator.reconcile.decide.delivery import ASK_ALWAYS, PodReport, next_step
from mtls_operator.reconcile.plan import Plan
from mtls_operator.reconcile.world import Delivery

from .universe import START, Universe

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        pytest.param(
            Delivery(), ("ask", None), id="never asked: ask first, a new pod mounts the newest Secret"
        ),
        pytest.param(Delivery(served="old", probed_at=START), ("touch", None), id="stale: touch at once"),
        pytest.param(
            Delivery(served="old", probed_at=START, wanted="older", touched_at=START, touches=5),
            ("touch", None),
            id="touched for a former delivery: touch for this one",
        ),
        pytest.param(
            Delivery(served="old", probed_at=START, wanted="new", touched_at=START, touches=1),
            ("ask", START + SECOND),
            id="touched: ask a second later",
        ),
        pytest.param(
            Delivery(served="old", probed_at=START + SECOND, wanted="new", touched_at=START, touches=1),
            ("touch", None),
            id="asked in vain: touch again",
        ),
        pytest.param(
            Delivery(served="old", probed_at=START + 20 * SECOND, wanted="new", touched_at=START, touches=5),
            ("ask", START + 20 * SECOND + ASK_ALWAYS),
            id="touched five times: keep asking",
        ),
        pytest.param(
            Delivery(error="refused", failures=3, probed_at=START),
            ("ask", START + 4 * SECOND),
            id="unreachable: ask with growing pauses",
        ),
        pytest.param(
            Delivery(error="refused", failures=60, probed_at=START),
            ("ask", START + ASK_ALWAYS),
            id="unreachable for long: ask every half minute",
        ),
    ],
)
def test_next_step(delivery: Delivery, expected: tuple[str, object]) -> None:
    assert next_step(delivery, "new") == expected


def _delivery(universe: Universe) -> tuple[PodReport, Plan]:
    report, plan = universe.decide()
    (pod,) = report.pods
    return pod, plan


def test_a_rotation_costs_one_touch_and_one_question_per_pod(settled: Universe) -> None:
    settled.add_pod("a", served=settled.digest(), probed_at=settled.now)
    settled.after(hours=13.5).settle()
    pod, plan = _delivery(settled)
    assert (len(plan.touches), len(plan.probes), pod.settling) == (1, 0, True)
    settled.touch("a", plan.touches[0].digest, plan.touches[0].attempt)
    pod, plan = _delivery(settled)
    assert not plan.acts
    assert plan.wake == settled.now + SECOND
    pod, plan = _delivery(settled.after(seconds=1))
    assert (len(plan.touches), len(plan.probes)) == (0, 1)
    settled.answer("a", settled.digest())
    pod, plan = _delivery(settled)
    assert pod.acknowledged
    assert not plan.acts


def test_finished_pods_and_pods_without_address_are_not_asked(settled: Universe) -> None:
    settled.add_pod("done")
    settled.pods[0]["status"]["phase"] = "Succeeded"
    settled.add_pod("pending")
    settled.pods[1]["status"].pop("podIP")
    report, plan = settled.decide()
    assert report.pods == ()
    assert not plan.acts


def test_status_names_who_lags(settled: Universe) -> None:
    settled.add_pod("a", served=settled.digest(), probed_at=settled.now)
    settled.add_pod("b", served="old", generation=41, probed_at=settled.now)
    settled.settle()
    conditions = {condition["type"]: condition for condition in settled.service["status"]["conditions"]}
    propagated = conditions["TrustPropagated"]
    assert (propagated["status"], propagated["message"]) == (
        "False",
        "1/2 pods; b still serves generation 41",
    )
    assert conditions["Stalled"]["status"] == "False"


def test_a_pod_is_asked_at_once_when_the_clock_was_set_back_since_the_last_time(settled: Universe) -> None:
    settled.add_pod("orders-a", error="refused", failures=1, probed_at=settled.now + timedelta(hours=1))
    _, plan = _delivery(settled)
    assert [probe.uid for probe in plan.probes] == ["uid-orders-a"]
