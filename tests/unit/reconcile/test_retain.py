"""Given a deletionPolicy, and what a former service of the name left, expect Secrets to go or to stay."""

from typing import Any

import pytest

from mtls_operator.api import names
from mtls_operator.reconcile.ports import MTLSSERVICE, SECRET, Object, Ref

from .api import Operator
from .universe import Universe, service_object

SECRETS = ("orders-server", "orders-client-billing")


def universe(policy: str) -> Universe:
    return Universe(service_object(spec(policy)))


def spec(policy: str) -> dict[str, Any]:
    return {"deletionPolicy": policy, "clients": [{"name": "billing"}]}


def owners(world: Universe, name: str) -> list[str]:
    return [owner["uid"] for owner in world.secret(name)["metadata"].get("ownerReferences") or ()]


def successor_of(world: Universe, policy: str = "Retain") -> Universe:
    """Delete the service, as garbage collection does, and create another one of its name."""
    left: dict[Ref, Object] = {
        ref: item
        for ref, item in world.objects.items()
        if "uid-1" not in [owner["uid"] for owner in item["metadata"].get("ownerReferences") or ()]
    }
    return Universe(service_object(spec(policy), uid="uid-2"), now=world.now, objects=left)


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_that_are_retained_have_no_owner_from_the_start_but_its_label(name: str) -> None:
    world = universe("Retain")
    world.settle()
    assert owners(world, name) == []
    assert world.secret(name)["metadata"]["labels"][names.LABEL_SERVICE_UID] == "uid-1"
    assert world.settle() == []


def test_another_policy_adds_or_removes_the_owner_and_nothing_else() -> None:
    world = universe("Delete")
    world.settle()
    leaves = [world.file(name, "tls.crt") for name in SECRETS]
    for policy, expected in (("Retain", []), ("Delete", ["uid-1"])):
        world.service["spec"] = spec(policy)
        assert sorted(world.settle()) == [f"Replace Secret {name}" for name in sorted(SECRETS)]
        assert [owners(world, name) for name in SECRETS] == [expected, expected]
    assert [world.file(name, "tls.crt") for name in SECRETS] == leaves


def test_only_secrets_are_retained() -> None:
    world = universe("Retain")
    world.settle()
    assert {ref.resource for ref in successor_of(world).objects} == {SECRET}


def test_a_client_that_is_no_longer_wanted_loses_its_secret_although_they_are_retained() -> None:
    world = universe("Retain")
    world.settle()
    world.service["spec"] = spec("Retain") | {"clients": []}
    assert "Delete Secret orders-client-billing" in world.settle()


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_new_service_of_the_name_takes_over_what_was_retained_with_new_keys(policy: str) -> None:
    former = universe("Retain")
    former.settle()
    heir = successor_of(former, policy)
    heir.settle()
    for name in SECRETS:
        for file in ("tls.key", "tls.crt", "ca.crt"):
            assert heir.file(name, file) != former.file(name, file)
        assert heir.secret(name)["metadata"]["labels"][names.LABEL_SERVICE_UID] == "uid-2"
        assert owners(heir, name) == ([] if policy == "Retain" else ["uid-2"])
        assert heir.secret(name)["metadata"]["annotations"][names.ANNOTATION_REASON].startswith("TakenOver: ")
    assert heir.problems == ()
    assert heir.settle() == []


def test_keys_are_new_even_where_the_same_authority_signs() -> None:
    former = universe("Retain")
    former.settle()
    heir = successor_of(former)
    ref, authority = next(item for item in former.objects.items() if item[0].name == "authority-uid-1")
    name = names.authority_secret("uid-2")
    metadata = authority["metadata"] | {"name": name}
    metadata["labels"] = metadata["labels"] | {names.LABEL_SERVICE_UID: "uid-2"}
    heir.objects[ref._replace(name=name)] = {**authority, "metadata": metadata}
    heir.settle()
    for secret in SECRETS:
        assert heir.file(secret, "tls.key") != former.file(secret, "tls.key")
        assert heir.file(secret, "ca.crt") == former.file(secret, "ca.crt")


def test_what_others_added_to_a_secret_that_is_taken_over_stays() -> None:
    former = universe("Retain")
    former.settle()
    former.secret("orders-server")["metadata"]["labels"]["team"] = "shop"
    heir = successor_of(former)
    heir.settle()
    assert heir.secret("orders-server")["metadata"]["labels"]["team"] == "shop"


def test_what_nobody_needs_any_more_stays_as_it_was_left() -> None:
    former = universe("Retain")
    former.settle()
    heir = successor_of(former)
    heir.service["spec"] = spec("Retain") | {"clients": []}
    assert all("billing" not in write for write in heir.settle())
    assert heir.secret("orders-client-billing")


def retaining(uid: str) -> Object:
    return service_object(spec("Retain"), uid=uid)


async def test_nothing_is_taken_over_before_a_live_read_shows_that_its_service_is_gone() -> None:
    operator = Operator(retaining("uid-1"))
    await operator.reconcile()
    operator.api.reads.clear()
    assert await operator.reconcile() == []
    assert operator.api.reads == []
    operator.watch(MTLSSERVICE, retaining("uid-2"))
    await operator.reconcile()
    assert operator.api.reads == ["MTLSService shop/orders"]
    left = operator.api.objects[Ref(SECRET, "shop", "orders-server")]
    assert left["metadata"]["labels"][names.LABEL_SERVICE_UID] == "uid-2"


async def test_a_late_watch_takes_nothing_from_the_service_that_came_since() -> None:
    operator = Operator(retaining("uid-1"))
    await operator.reconcile()
    operator.api.seed(MTLSSERVICE, retaining("uid-2"))  # which the watch has not shown yet
    for name in SECRETS:
        secret = operator.api.objects[Ref(SECRET, "shop", name)]
        secret["metadata"]["labels"][names.LABEL_SERVICE_UID] = "uid-2"
        operator.watch(SECRET, secret)
    await operator.reconcile()
    for name in SECRETS:
        labels = operator.api.objects[Ref(SECRET, "shop", name)]["metadata"]["labels"]
        assert labels[names.LABEL_SERVICE_UID] == "uid-2"
