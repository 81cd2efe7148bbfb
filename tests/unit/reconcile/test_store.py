"""The store keeps the newest observation, in whatever order observations come."""

from typing import Any

import pytest

from mtls_operator.api import names
from mtls_operator.reconcile.ports import POD, SECRET, Object, Ref
from mtls_operator.reconcile.store import Key, Store, key_of

KEY = Key("shop", "orders")
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
    assert store.put(SECRET, _secret(9, annotations={"stale": "yes"})) == KEY
    assert store.get(REF) == _secret(10)


def test_a_late_deletion_of_an_older_version_is_ignored() -> None:
    store = Store("mtls-system")
    store.put(SECRET, _secret(10))
    assert store.remove(SECRET, _secret(8)) is None
    assert store.get(REF) is not None


def test_a_stripped_label_looks_like_a_deletion_and_concerns_the_service_it_belonged_to() -> None:
    store = Store("mtls-system")
    store.put(SECRET, _secret(10))
    assert store.remove(SECRET, _secret(11, labels={})) == KEY
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
    assert store.put(SECRET, _secret(1, **claims)) != KEY
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
