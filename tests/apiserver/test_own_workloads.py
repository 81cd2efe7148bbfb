"""The operator's account on a real API server: which workloads and pods it may write, and how."""

from collections.abc import Callable
from typing import Any

import pytest

from mtls_operator.reconcile.ports import Object
from tests.apiserver.installation import Account, until
from tests.apiserver.manifests import (
    OURS,
    OWNER,
    daemon_set,
    deployment,
    disruption_budget,
    network_policy,
    pod,
    service,
    service_account,
    stateful_set,
)
from tests.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]

WORKLOAD = pytest.mark.parametrize(
    "make",
    [deployment, service, service_account, disruption_budget, network_policy],
    ids=lambda make: make.__name__,
)
ADD_OUR_LABELS: Object = {"metadata": {"labels": OURS}}


@WORKLOAD
def test_workloads_of_ours_may_be_made_changed_and_removed(
    account: Account, namespace: str, exists: Callable[[Object], Object], make: Callable[..., Object]
) -> None:
    assert account.creates(make(namespace)) == ""

    ours = exists(make(namespace))
    assert account.patches(ours, {"metadata": {"annotations": {"mtls-operator.io/desired": "x"}}}) == ""
    assert account.deletes(ours) == ""


@WORKLOAD
def test_foreign_workloads_are_neither_made_nor_taken_nor_deleted(
    account: Account, namespace: str, exists: Callable[[Object], Object], make: Callable[..., Object]
) -> None:
    assert "carry its label or belong to an MTLSService" in account.creates(make(namespace, labels={}))

    foreign = exists(make(namespace, labels={"of": "others"}))
    assert "alters and deletes only" in account.patches(foreign, ADD_OUR_LABELS)
    assert "alters and deletes only" in account.deletes(foreign)


ROLLED = "mtls-operator.io/restarted-for"
RESTARTED = pytest.mark.parametrize(
    "make", [deployment, stateful_set, daemon_set], ids=lambda make: make.__name__
)


def of_pods(**metadata: Any) -> Object:
    return {"spec": {"template": {"metadata": metadata}}}


@RESTARTED
def test_foreign_workloads_may_be_rolled(
    account: Account, namespace: str, exists: Callable[[Object], Object], make: Callable[..., Object]
) -> None:
    foreign = exists(make(namespace, labels={"of": "others"}))

    assert account.patches(foreign, of_pods(annotations={ROLLED: "5eed"})) == ""


@RESTARTED
def test_rolled_workloads_may_be_rolled_again(
    account: Account, namespace: str, exists: Callable[[Object], Object], make: Callable[..., Object]
) -> None:
    foreign = make(namespace, labels={"of": "others"})
    foreign["spec"]["template"]["metadata"]["annotations"] = {ROLLED: "5eed", "example.org/theirs": "x"}
    exists(foreign)

    assert account.patches(foreign, of_pods(annotations={ROLLED: "5eee"})) == ""


@RESTARTED
@pytest.mark.parametrize(
    "patch",
    [
        of_pods(annotations={"example.org/a": "x"}),
        of_pods(annotations={"example.org/theirs": None}),
        of_pods(annotations={"example.org/theirs": "y", ROLLED: "5eed"}),
        of_pods(annotations={"mtls-operator.io/desired": "x"}),
        of_pods(annotations={ROLLED: "5eed"}, labels={"app": "orders", "a": "b"}),
        {"spec": {"template": {"spec": {"containers": [{"name": "server", "image": "other:1"}]}}}},
        {"spec": {"template": {"spec": {"hostNetwork": True}}}},
        {"spec": {"minReadySeconds": 7}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"annotations": {ROLLED: "5eed"}}},
        {"metadata": {"finalizers": ["example.org/a"]}},
        {"metadata": {"ownerReferences": [OWNER]}},
        {"metadata": {"labels": OURS}} | of_pods(annotations={ROLLED: "5eed"}),
    ],
    ids=str,
)
def test_of_a_foreign_workload_nothing_but_one_annotation_of_its_pods_may_be_altered(
    account: Account,
    namespace: str,
    exists: Callable[[Object], Object],
    make: Callable[..., Object],
    patch: Object,
) -> None:
    foreign = make(namespace, labels={"of": "others"})
    foreign["spec"]["template"]["metadata"]["annotations"] = {"example.org/theirs": "x"}
    exists(foreign)

    assert f"only the annotation {ROLLED} of the pod template" in account.patches(foreign, patch)


@pytest.mark.parametrize("make", [stateful_set, daemon_set], ids=lambda make: make.__name__)
def test_what_is_rolled_is_neither_made_nor_deleted_nor_ours(
    account: Account, namespace: str, exists: Callable[[Object], Object], make: Callable[..., Object]
) -> None:
    ours = exists(make(namespace, labels=OURS))

    assert f"only the annotation {ROLLED}" in account.patches(ours, {"spec": {"minReadySeconds": 7}})
    assert "cannot create resource" in account.creates(make(namespace, labels=OURS))
    assert "cannot delete resource" in account.deletes(ours)


def _container(**fields: Any) -> Object:
    return {"containers": [{"name": "server", "image": "server:1"} | fields]}


def _projected(**source: Any) -> Object:
    return {"volumes": [{"name": "v", "projected": {"sources": [source]}}]}


@pytest.mark.parametrize(
    ("pod_spec", "sentence"),
    [
        ({"serviceAccountName": "admin"}, "only as their own ServiceAccount"),
        ({"automountServiceAccountToken": True}, "without its token"),
        ({"automountServiceAccountToken": None}, "without its token"),
        ({"hostNetwork": True}, "outside the host's namespaces"),
        ({"hostPID": True}, "outside the host's namespaces"),
        ({"hostIPC": True}, "outside the host's namespaces"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "without paths, privileges"),
        (_container(securityContext={"privileged": True}), "without paths, privileges"),
        (_container(securityContext={"capabilities": {"add": ["NET_ADMIN"]}}), "without paths, privileges"),
        (_projected(serviceAccountToken={"path": "token"}), "without tokens"),
        (_projected(secret={"name": "authority-1"}), "without the Secrets of authorities"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "authority-1"}}]}, "the Secrets of authorities"),
        (_container(envFrom=[{"secretRef": {"name": "authority-1"}}]), "the Secrets of authorities"),
        (
            _container(
                env=[{"name": "K", "valueFrom": {"secretKeyRef": {"name": "authority-1", "key": "k"}}}]
            ),
            "the Secrets of authorities",
        ),
    ],
    ids=str,
)
def test_no_deployment_gains_rights(
    account: Account, namespace: str, pod_spec: Object, sentence: str
) -> None:
    assert sentence in account.creates(deployment(namespace, pod_spec))


def annotate(key: str) -> Object:
    return {"metadata": {"annotations": {key: "x"}}}


def test_pods_of_ours_may_be_touched(
    account: Account, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object]
) -> None:
    ours = _pod_exists(kubectl, exists, pod(namespace))

    assert account.patches(ours, annotate("mtls-operator.io/delivery")) == ""


@pytest.mark.parametrize(
    "patch",
    [
        annotate("example.org/a"),
        {"metadata": {"annotations": {"example.org/theirs": None}}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"finalizers": ["example.org/a"]}},
        {"metadata": {"ownerReferences": [OWNER]}},
        {"spec": {"containers": [{"name": "server", "image": "other:1"}]}},
    ],
    ids=str,
)
def test_of_a_pod_nothing_but_our_annotations_may_be_altered(
    account: Account, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object], patch: Object
) -> None:
    ours = _pod_exists(kubectl, exists, pod(namespace, annotations={"example.org/theirs": "x"}))

    assert "alters only annotations of a pod" in account.patches(ours, patch)


def test_foreign_pods_may_not_be_touched(
    account: Account, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object]
) -> None:
    foreign = _pod_exists(kubectl, exists, pod(namespace, labels={}))

    assert "only pods of its own servers" in account.patches(foreign, annotate("mtls-operator.io/delivery"))


def _pod_exists(kubectl: Kubectl, exists: Callable[[Object], Object], manifest: Object) -> Object:
    until(
        lambda: (
            kubectl.get(f"--namespace={manifest['metadata']['namespace']}", "serviceaccount/default")
            is not None
        )
    )
    return exists(manifest)
