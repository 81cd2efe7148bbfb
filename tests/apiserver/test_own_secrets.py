"""The operator's account on a real API server: which Secrets it may write."""

import json
from collections.abc import Callable

import pytest

from mtls_operator.reconcile.ports import Object
from tests.apiserver.installation import Account, Operator
from tests.apiserver.manifests import AUTHORITY, OURS, OWNER, secret
from tests.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]


@pytest.mark.parametrize("kind", ["kubernetes.io/tls", "Opaque"])
def test_secrets_of_ours_may_be_made(account: Account, namespace: str, kind: str) -> None:
    assert account.creates(secret(namespace, kind=kind)) == ""


def test_no_secret_becomes_a_token(account: Account, namespace: str) -> None:
    annotations = {"kubernetes.io/service-account.name": "default"}

    refusal = account.creates(
        secret(namespace, kind="kubernetes.io/service-account-token", annotations=annotations)
    )

    assert "writes only Secrets of type kubernetes.io/tls and Opaque" in refusal


def test_no_secret_is_made_that_is_not_marked_as_ours(account: Account, namespace: str) -> None:
    assert "carry its label or belong to an MTLSService" in account.creates(secret(namespace, labels={}))


def test_authorities_stay_with_the_operator(operator: Operator, account: Account, namespace: str) -> None:
    def authority(where: str) -> Object:
        return secret(where, kind="Opaque", labels=AUTHORITY, name="authority-7c1f5b7e")

    assert account.creates(authority(operator.namespace)) == ""
    assert f"keeps authorities in the namespace {operator.namespace} only" in account.creates(
        authority(namespace)
    )


def test_a_foreign_secret_is_neither_taken_nor_deleted(
    account: Account, namespace: str, exists: Callable[[Object], Object]
) -> None:
    foreign = exists(secret(namespace, labels={}))

    assert "alters and deletes only" in account.replaces(
        foreign | {"metadata": secret(namespace)["metadata"]}
    )
    assert "alters and deletes only" in account.deletes(foreign)


@pytest.mark.parametrize(
    "marks",
    [
        {"labels": {"app.kubernetes.io/managed-by": "mtls-operator"}},
        {"labels": {"mtls-operator.io/service-uid": "7c1f5b7e"}},
    ],
    ids=str,
)
def test_a_secret_that_lost_a_label_can_be_healed(
    account: Account, namespace: str, exists: Callable[[Object], Object], marks: Object
) -> None:
    exists(secret(namespace, **marks))

    assert account.replaces(secret(namespace)) == ""


def test_a_secret_that_lost_its_labels_can_be_healed_while_it_has_its_owner(
    account: Account, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object]
) -> None:
    manifest = {**OWNER, "metadata": {"name": "orders", "namespace": namespace}, "spec": {}}
    del manifest["name"], manifest["uid"]
    owner = json.loads(kubectl.run("create", "--filename=-", "--output=json", stdin=manifest).stdout)
    exists(secret(namespace, labels={}, ownerReferences=[OWNER | {"uid": owner["metadata"]["uid"]}]))

    assert account.replaces(secret(namespace)) == ""


def test_a_secret_of_ours_is_never_set_free(
    account: Account, namespace: str, exists: Callable[[Object], Object]
) -> None:
    exists(secret(namespace))

    assert "writes only Secrets that carry its label" in account.replaces(secret(namespace, labels={}))


def test_an_authority_that_lost_its_labels_can_be_marked_and_healed(
    operator: Operator, account: Account, exists: Callable[[Object], Object]
) -> None:
    bare = exists(secret(operator.namespace, kind="Opaque", labels={}, name="authority-7c1f5b7e"))

    assert (
        account.patches(bare, {"metadata": {"annotations": {"mtls-operator.io/orphaned-since": "x"}}}) == ""
    )
    assert (
        account.replaces(
            secret(operator.namespace, kind="Opaque", labels=AUTHORITY, name="authority-7c1f5b7e")
        )
        == ""
    )


@pytest.mark.parametrize("use", ["authority", "trust", "password"])
def test_a_secret_that_people_lend_is_never_written_even_if_it_looks_like_ours(
    account: Account, namespace: str, exists: Callable[[Object], Object], use: str
) -> None:
    lent = exists(secret(namespace, labels={"mtls-operator.io/use": use}))
    assert "alters and deletes only Secrets" in account.replaces(secret(namespace))
    assert "alters and deletes only Secrets" in account.deletes(lent)

    disguised = exists(secret(namespace, name="disguised", labels=OURS | {"mtls-operator.io/use": use}))
    for refusal in (
        account.replaces(disguised | {"metadata": secret(namespace, name="disguised")["metadata"]}),
        account.deletes(disguised),
        account.creates(secret(namespace, name="new", labels=OURS | {"mtls-operator.io/use": use})),
    ):
        assert "neither writes nor deletes Secrets that people lend to it" in refusal
