"""The store keeps the newest observation, in whatever order observations come."""

from typing import Any

import pytest

from mtls_operator.api import names
from mtls_operator.reconcile.ports import MTLSCLIENT, POD, SECRET, Key, Object, Ref
from mtls_operator.reconcile.store import Holder, Store, key_of

KEY = Key("shop", "orders")
HOLDER = Holder("front", "uid-web")
REF = Ref(SECRET, "shop", "orders-server")


def _secret(version: int, **metadata: Any) -> Object:
    labels = {names.LABEL_SERVICE: "orders"}
    return {
        "metadata": {
            "name": "orders-server",
            "namespace": "shop",
            "resourceVersion": str(version),
            "labels": labels,
        }
        | metadata
    }


def test_an_older_observation_never_replaces_a_newer_one() -> None:
    store = Store("mtls-system")
    store.put(SECRET, _secret(10))
    assert store.put(SECRET, _secret(9, annotations={"stale": "yes"})) == {KEY}
    assert store.get(REF) == _secret(10)


def test_a_late_deletion_of_an_older_version_is_ignored() -> None:
    store = Store("mtls-system")
    store.put(SECRET, _secret(10))
    assert store.remove(SECRET, _secret(8)) == set()
    assert store.get(REF) is not None


def test_a_stripped_label_looks_like_a_deletion_and_concerns_the_service_it_belonged_to() -> None:
    store = Store("mtls-system")
    store.put(SECRET, _secret(10))
    assert store.remove(SECRET, _secret(11, labels={})) == {KEY}
    assert store.get(REF) is None
    assert list(store.of(KEY, SECRET)) == []


def test_objects_are_found_by_service_and_kind() -> None:
    store = Store("mtls-system")
    store.put(SECRET, _secret(1))
    store.put(SECRET, _secret(2, name="orders-client-a"))
    store.put(POD, _secret(3, name="orders-abc"))
    assert [item["metadata"]["name"] for item in store.of(KEY, SECRET)] == [
        "orders-client-a",
        "orders-server",
    ]


def test_an_object_elsewhere_that_claims_a_service_is_never_taken_for_one_of_its_own() -> None:
    store = Store("mtls-system")
    claims = {"namespace": "elsewhere", "annotations": {names.ANNOTATION_OWNER: "shop/orders"}}
    assert KEY not in store.put(SECRET, _secret(1, **claims))
    assert list(store.of(KEY, SECRET)) == []


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ({"labels": {names.LABEL_SERVICE: "orders"}}, KEY),
        (
            {
                "namespace": "mtls-system",
                "name": "authority-1",
                "annotations": {names.ANNOTATION_OWNER: "other/api"},
            },
            Key("other", "api"),
        ),
        ({"name": "authority-1", "annotations": {names.ANNOTATION_OWNER: "other/api"}}, KEY),
        (
            {
                "labels": {names.LABEL_SERVICE: "altered"},
                "ownerReferences": [{"apiVersion": names.API_VERSION, "kind": names.KIND, "name": "orders"}],
            },
            KEY,
        ),
        ({"labels": {}}, None),
    ],
)
def test_an_object_says_whom_it_belongs_to(metadata: dict[str, Any], key: Key | None) -> None:
    assert key_of(SECRET, _secret(1, **metadata), "mtls-system") == key


def _mtlsclient(version: int, **metadata: Any) -> Object:
    return {
        "metadata": {"name": "web", "namespace": "front", "uid": "uid-web", "resourceVersion": str(version)}
        | metadata,
        "spec": {"serviceRef": {"namespace": "shop", "name": "orders"}, "secretName": "orders-tls"},
    }


def _held(version: int, **metadata: Any) -> Object:
    reference = {
        "apiVersion": names.API_VERSION,
        "kind": names.CLIENT_KIND,
        "name": "web",
        "uid": "uid-web",
        "controller": True,
    }
    held = {"name": "orders-tls", "namespace": "front", "ownerReferences": [reference]}
    return _secret(version, **held | metadata)


def test_an_mtlsclient_and_the_secret_that_it_owns_concern_the_service_that_it_names() -> None:
    store = Store("mtls-system")
    assert store.put(SECRET, _held(1)) == set()
    assert store.put(MTLSCLIENT, _mtlsclient(2)) == {KEY}
    assert store.put(SECRET, _held(3)) == {KEY}
    assert [item["metadata"]["resourceVersion"] for item in store.held_by(HOLDER)] == ["3"]
    assert store.remove(SECRET, _held(4)) == {KEY}
    assert list(store.held_by(HOLDER)) == []


@pytest.mark.parametrize(
    "forged",
    [
        {"namespace": "thieves"},
        {"ownerReferences": []},
        {"ownerReferences": [], "annotations": {names.ANNOTATION_OWNER: "shop/orders"}},
        {
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "MTLSClient", "uid": "uid-web", "controller": True}
            ]
        },
        {"ownerReferences": [{"apiVersion": names.API_VERSION, "kind": "MTLSClient", "uid": "uid-web"}]},
    ],
)
def test_a_secret_belongs_to_an_mtlsclient_of_its_namespace_that_controls_it(forged: dict[str, Any]) -> None:
    store = Store("mtls-system")
    store.put(MTLSCLIENT, _mtlsclient(1))
    assert KEY not in store.put(SECRET, _held(2, **forged))
    assert list(store.held_by(HOLDER)) == []


def test_callers_of_a_service_come_oldest_first() -> None:
    store = Store("mtls-system")
    for name, created, uid in [("c", "2026-01-02", "3"), ("a", "2026-01-01", "9"), ("b", "2026-01-02", "2")]:
        moment = f"{created}T00:00:00Z"
        store.put(MTLSCLIENT, _mtlsclient(1, name=name, uid=uid, namespace=name, creationTimestamp=moment))
    assert [caller["metadata"]["name"] for caller in store.callers(KEY)] == ["a", "b", "c"]


def test_a_client_made_anew_for_another_service_concerns_both() -> None:
    store = Store("mtls-system")
    store.put(MTLSCLIENT, _mtlsclient(1))
    anew = _mtlsclient(5, uid="uid-anew")
    anew["spec"]["serviceRef"]["name"] = "payments"
    assert store.put(MTLSCLIENT, anew) == {KEY, Key("shop", "payments")}
    assert store.callers(KEY) == []


def test_a_service_that_is_only_named_is_known_as_well() -> None:
    store = Store("mtls-system")
    store.put(MTLSCLIENT, _mtlsclient(1))
    assert store.services() == {KEY}
    store.drop(Ref(MTLSCLIENT, "front", "web"))
    assert store.services() == set()
