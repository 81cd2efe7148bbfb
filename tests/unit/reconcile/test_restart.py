"""Given a Secret that has changed for programs that read it once, expect each to be restarted once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mtls_operator.api import names
from mtls_operator.api.types import Workload
from mtls_operator.pki.validity import rfc3339
from mtls_operator.reconcile.decide.restart import restarted_at_first
from mtls_operator.reconcile.plan import Plan
from mtls_operator.reconcile.ports import DEPLOYMENT, SECRET, Object, Ref, UnavailableError

from .api import ORDERS, Operator
from .universe import Universe, service_object

WEB = {"kind": "Deployment", "name": "web"}
LEGACY = {"kind": "StatefulSet", "name": "legacy"}
CLIENT = "orders-client-billing"


def universe(*restart: dict[str, str], **spec: Any) -> Universe:
    return Universe(service_object({"clients": [{"name": "billing", "restart": list(restart)}]} | spec))


def restarts(writes: list[str]) -> list[str]:
    return [write.removeprefix("Restart ") for write in writes if write.startswith("Restart ")]


def record(world: Universe, secret: str = CLIENT) -> str:
    return str(world.secret(secret)["metadata"]["annotations"][names.ANNOTATION_RESTARTED_FOR])


def forget(world: Universe) -> None:
    """Let another process take over."""
    world.rolled.clear()


def test_the_first_issue_restarts_nothing() -> None:
    world = universe(WEB)
    assert restarts(world.settle()) == []
    assert record(world).endswith(" Deployment/web")
    assert world.settle() == []


def test_a_renewal_restarts_each_workload_once_after_the_secret_is_written() -> None:
    world = universe(LEGACY, WEB)
    world.settle()
    writes = world.after(hours=14).settle()
    of_client = [write for write in writes if CLIENT in write or write.startswith("Restart")]
    renewed, *rolled, recorded = of_client
    assert renewed == recorded == f"Replace Secret {CLIENT}"
    assert sorted(rolled) == ["Restart Deployment web", "Restart StatefulSet legacy"]
    forget(world)
    assert world.settle() == []


def test_steady_state_looks_at_no_workload() -> None:
    world = universe(WEB)
    world.settle()
    world.after(hours=14).settle()
    forget(world)
    _, plan = world.decide()
    assert plan.restarts == ()


def test_other_trust_anchors_restart_even_though_the_leaf_stays() -> None:
    world = universe(WEB)
    world.settle()
    metadata = world.secret(CLIENT)["metadata"]
    serial = metadata["annotations"][names.ANNOTATION_SERIAL]
    former, leaf = world.file("orders-server", "ca.crt"), world.file(CLIENT, "tls.crt")
    metadata["annotations"] |= restarted_at_first([Workload.model_validate(WEB)], leaf, former)
    assert restarts(world.settle()) == ["Deployment web"]
    assert world.secret(CLIENT)["metadata"]["annotations"][names.ANNOTATION_SERIAL] == serial


def trust_since(world: Universe) -> str:
    return str(world.secret(CLIENT)["metadata"]["annotations"][names.ANNOTATION_TRUST_SINCE])


def test_who_reads_once_has_an_anchor_from_the_restart_on_and_not_anew_from_a_renewal_on() -> None:
    world = universe(WEB)
    world.settle()
    since = trust_since(world)
    assert restarts(world.after(hours=14).settle()) == ["Deployment web"]
    assert trust_since(world) == since
    rotate(world)
    while not any(plan.restarts for _, plan in [world.decide()]):
        world.carry_out(world.decide()[1])
    delivered = trust_since(world)
    world.after(minutes=5).settle()
    assert trust_since(world) == rfc3339(world.now) > delivered > since


def rotate(world: Universe) -> None:
    world.service["metadata"]["annotations"] = {names.ANNOTATION_ROTATE_AUTHORITY: "now"}


def signs(world: Universe) -> bool:
    """Whether the new server authority does."""
    told = [notice.message for notice in world.notices if notice.reason == "AuthoritySigning"]
    return any("server authority" in message for message in told)


def carry_out_all_but_restarts(world: Universe) -> Plan:
    for _ in range(10):
        _, plan = world.decide()
        world.carry_out(replace(plan, restarts=()))
        if not plan.writes:
            break
    return plan


def test_an_authority_signs_only_after_the_restart_of_those_who_would_not_know_it() -> None:
    world = universe(WEB, authority={"propagation": "1h"})
    world.settle()
    rotate(world)
    assert carry_out_all_but_restarts(world).restarts
    carry_out_all_but_restarts(world.after(hours=3))
    assert not signs(world)
    assert restarts(world.settle()) == ["Deployment web"]
    world.after(minutes=59).settle()
    assert not signs(world)
    world.after(minutes=2).settle()
    assert signs(world)


def test_no_authority_waits_for_what_can_not_be_restarted() -> None:
    world = universe(WEB, authority={"propagation": "1h"})
    world.settle()
    world.unknown = {"web"}
    rotate(world)
    world.settle()
    world.after(minutes=61).settle()
    assert signs(world)


def test_a_rotation_survives_that_a_secret_is_emptied() -> None:
    world = universe(WEB)
    world.settle()
    rotate(world)
    world.settle()
    world.secret(CLIENT)["data"] = {}
    assert f"Replace Secret {CLIENT}" in world.settle()


def test_a_secret_whose_name_is_taken_holds_up_no_restart_for_others() -> None:
    clients = [{"name": name, "restart": [WEB]} for name in ("billing", "shipping")]
    world = Universe(service_object({"clients": clients}))
    taken = Ref(SECRET, "shop", "orders-client-shipping")
    world.taken.add(taken)
    world.settle()
    assert restarts(world.after(hours=14).settle()) == ["Deployment web"]


def test_a_workload_that_is_named_later_is_restarted_and_the_others_are_not_again() -> None:
    world = universe(WEB)
    world.settle()
    world.after(hours=14).settle()
    world.service["spec"] = {"clients": [{"name": "billing", "restart": [WEB, LEGACY]}]}
    assert restarts(world.settle()) == ["StatefulSet legacy"]
    assert record(world).endswith(" Deployment/web StatefulSet/legacy")


def test_a_workload_of_several_secrets_is_restarted_once_for_all_of_them() -> None:
    clients = [{"name": name, "restart": [WEB]} for name in ("billing", "shipping", "stock")]
    world = Universe(service_object({"clients": clients}))
    world.settle()
    assert restarts(world.after(hours=14).settle()) == ["Deployment web"]


def test_a_workload_waits_for_all_of_its_secrets() -> None:
    clients = [{"name": f"client-{number}", "restart": [WEB]} for number in range(150)]
    world = Universe(service_object({"clients": clients}))
    world.settle()
    _, first = world.after(hours=14).decide()
    assert first.more
    world.carry_out(first)
    _, second = world.decide()
    assert second.restarts == ()
    assert restarts(world.settle()) == ["Deployment web"]


def test_a_secret_that_was_lost_restarts_since_programs_hold_what_nobody_will_renew() -> None:
    world = universe(WEB)
    world.settle()
    world.objects = {ref: item for ref, item in world.objects.items() if ref.name != CLIENT}
    assert restarts(world.settle()) == ["Deployment web"]


def test_a_workload_that_is_missing_is_named_and_blocks_nothing() -> None:
    world = universe(WEB, LEGACY)
    world.settle()
    world.unknown = {"web"}
    writes = world.after(hours=14).settle()
    assert restarts(writes) == ["StatefulSet legacy"]
    assert f"Replace Secret {CLIENT}" in writes
    (problem,) = world.problems
    assert (problem.reason, problem.message) == ("RestartFailed", "Deployment web is not there")
    _, plan = world.decide()
    assert plan.restarts == ()
    assert plan.wake is not None
    assert (plan.wake - world.now).total_seconds() == 30
    world.unknown = set()
    assert restarts(world.after(seconds=30).settle()) == ["Deployment web"]
    assert world.problems == ()


def test_the_server_secret_restarts_a_server_of_the_users_own() -> None:
    world = universe(backend={"none": {}}, restart=[WEB])
    world.settle()
    assert restarts(world.after(hours=14).settle()) == ["Deployment web"]


def test_a_crash_after_the_restart_is_found_out_by_looking() -> None:
    world = universe(WEB)
    world.settle()
    world.after(hours=14)
    for _ in range(5):
        _, plan = world.decide()
        world.carry_out(plan)
        if plan.restarts:
            break
    value = world.rolled[Ref(DEPLOYMENT, "shop", "web")].value
    forget(world)
    _, plan = world.decide()
    assert [restart.value for restart in plan.restarts] == [value]


def web(operator: Operator) -> Object:
    return operator.api.objects[Ref(DEPLOYMENT, "shop", "web")]


async def test_only_an_annotation_of_the_pod_template_is_written_and_an_event_tells() -> None:
    operator = Operator(service_object({"clients": [{"name": "billing", "restart": [WEB]}]}))
    metadata = {"name": "web", "namespace": "shop"}
    template = {"metadata": {"annotations": {"theirs": "kept"}}, "spec": {"containers": []}}
    operator.api.seed(DEPLOYMENT, {"metadata": metadata, "spec": {"replicas": 3, "template": template}})
    await operator.reconcile()
    assert operator.api.reads == []
    operator.now += timedelta(hours=14)
    writes = await operator.reconcile()
    assert [write for write in writes if "web" in write] == ["restart Deployment shop/web"]
    annotations = web(operator)["spec"]["template"]["metadata"]["annotations"]
    assert annotations.keys() == {"theirs", names.ANNOTATION_RESTARTED_FOR}
    assert operator.events == ["Restarted"]
    operator.api.reads.clear()
    assert await operator.reconcile() == []
    assert operator.api.reads == []


async def test_another_process_sees_that_a_workload_has_been_restarted() -> None:
    operator = Operator(service_object({"clients": [{"name": "billing", "restart": [WEB]}]}))
    metadata = {"name": "web", "namespace": "shop"}
    operator.api.seed(DEPLOYMENT, {"metadata": metadata, "spec": {"template": {"spec": {}}}})
    await operator.reconcile()
    operator.now += timedelta(hours=14)
    operator.api.refusals["Deployment", "web"] = UnavailableError("no answer")
    with pytest.raises(UnavailableError):
        await operator.reconcile()
    operator.api.refusals.clear()
    await operator.reconcile()
    stored = operator.api.objects[Ref(SECRET, "shop", CLIENT)]
    del stored["metadata"]["annotations"][names.ANNOTATION_RESTARTED_FOR]  # as if it had died before this
    operator.watch(SECRET, stored)
    operator.actor.memory(ORDERS).rolled.clear()
    assert await operator.reconcile() == [f"replace Secret shop/{CLIENT}"]


async def test_a_restart_that_is_refused_is_told_and_blocks_no_renewal() -> None:
    operator = Operator(service_object({"clients": [{"name": "billing", "restart": [WEB]}]}))
    await operator.reconcile()
    operator.now += timedelta(hours=14)
    writes = await operator.reconcile()
    assert {f"replace Secret shop/{CLIENT}", "replace Secret shop/orders-server"} <= set(writes)
    message = "Deployment web can not be restarted: there is none; create it, or take it out of restart"
    assert operator.condition("Stalled")["message"] == message
    operator.api.reads.clear()
    operator.now += timedelta(seconds=5)
    assert await operator.reconcile() == []
    assert operator.api.reads == []
