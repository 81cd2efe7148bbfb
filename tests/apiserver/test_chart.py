"""The chart on a real API server: it installs, and what its account may do is exactly what it must."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from mtls_operator.reconcile.ports import Object
from tests.apiserver.conftest import Kubectl
from tests.unit.chart.rendering import CHART, helm, render

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]

OURS = {"app.kubernetes.io/managed-by": "mtls-operator", "mtls-operator.io/service-uid": "7c1f5b7e"}
OWNER = {
    "apiVersion": "mtls-operator.io/v1alpha1",
    "kind": "MTLSService",
    "name": "orders",
    "uid": "7c1f5b7e",
}
AUTHORITY = {**OURS, "mtls-operator.io/component": "authority"}
TLS = {"tls.crt": "", "tls.key": ""}


class Operator(NamedTuple):
    """An installation, seen as its own account."""

    kubectl: Kubectl
    namespace: str

    def does(self, *arguments: str, stdin: Object | str = "") -> str:
        """Try it without consequences; return why it is refused, or nothing."""
        account = f"--as=system:serviceaccount:{self.namespace}:mtls-operator"
        command = (*arguments, "--dry-run=server", account)
        result = self.kubectl.run(*command, stdin=stdin, check=False)
        return result.stderr if result.returncode else ""

    def creates(self, manifest: Object) -> str:
        return self.does("create", "--filename=-", stdin=manifest)

    def patches(self, manifest: Object, patch: Object) -> str:
        return self.does("patch", *_name(manifest), "--type=merge", f"--patch={json.dumps(patch)}")

    def replaces(self, manifest: Object) -> str:
        return self.does("replace", "--filename=-", stdin=manifest)

    def deletes(self, manifest: Object) -> str:
        return self.does("delete", *_name(manifest))


def _name(manifest: Object) -> tuple[str, ...]:
    metadata = manifest["metadata"]
    return f"--namespace={metadata['namespace']}", f"{manifest['kind']}/{metadata['name']}"


@pytest.fixture(scope="module")
def operator(kubectl: Kubectl, crd: None) -> Iterator[Operator]:
    del crd
    namespace = f"mtls-{uuid4().hex[:8]}"
    _helm(kubectl, "install", "mtls-operator", str(CHART), f"--namespace={namespace}", "--create-namespace")
    operator = Operator(kubectl, namespace)
    _until(lambda: "writes only Secrets" in operator.creates(secret("default", labels={})))
    yield operator
    _helm(kubectl, "uninstall", "mtls-operator", f"--namespace={namespace}")
    kubectl.run("delete", "namespace", namespace, "--wait=false")


def _helm(kubectl: Kubectl, *arguments: str) -> None:
    without_crds = ("--set=crds.enabled=false",) if arguments[0] == "install" else ()
    result = helm(*arguments, *without_crds, f"--kubeconfig={kubectl.kubeconfig}")
    assert result.returncode == 0, result.stderr


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the admission policies did not take effect"
        time.sleep(0.2)


@pytest.fixture
def exists(kubectl: Kubectl) -> Callable[[Object], Object]:
    """Make an object exist, whoever's it may be."""

    def create(manifest: Object) -> Object:
        kubectl.run("create", "--filename=-", stdin=manifest)
        return manifest

    return create


def obj(api_version: str, kind: str, namespace: str, contents: Object, **metadata: object) -> Object:
    labelled = {"labels": OURS} | metadata
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "orders", "namespace": namespace, **labelled},
        **contents,
    }


def secret(namespace: str, *, kind: str = "kubernetes.io/tls", **metadata: object) -> Object:
    return obj("v1", "Secret", namespace, {"type": kind, "data": TLS}, **metadata)


def pod(namespace: str, **metadata: object) -> Object:
    spec = {"containers": [{"name": "server", "image": "server:1"}], "automountServiceAccountToken": False}
    return obj("v1", "Pod", namespace, {"spec": spec}, **metadata)


def deployment(namespace: str, pod_spec: Object | None = None, **metadata: object) -> Object:
    spec = {
        "serviceAccountName": "orders",
        "automountServiceAccountToken": False,
        "containers": [{"name": "server", "image": "server:1"}],
    } | (pod_spec or {})
    labels = {"app": "orders"}
    contents = {
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        }
    }
    return obj("apps/v1", "Deployment", namespace, contents, **metadata)


def service_account(namespace: str, **metadata: object) -> Object:
    return obj("v1", "ServiceAccount", namespace, {}, **metadata)


def service(namespace: str, **metadata: object) -> Object:
    return obj("v1", "Service", namespace, {"spec": {"ports": [{"port": 8443}]}}, **metadata)


def disruption_budget(namespace: str, **metadata: object) -> Object:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "orders"}}}
    return obj("policy/v1", "PodDisruptionBudget", namespace, {"spec": spec}, **metadata)


def network_policy(namespace: str, **metadata: object) -> Object:
    return obj("networking.k8s.io/v1", "NetworkPolicy", namespace, {"spec": {"podSelector": {}}}, **metadata)


WORKLOAD = pytest.mark.parametrize(
    "make",
    [deployment, service, service_account, disruption_budget, network_policy],
    ids=lambda make: make.__name__,
)
ADD_OUR_LABELS: Object = {"metadata": {"labels": OURS}}


@pytest.mark.parametrize("values", [(), ("watchNamespaces={default}",)], ids=["cluster", "namespaced"])
def test_the_api_server_takes_all_that_the_chart_renders(
    kubectl: Kubectl, namespace: str, values: tuple[str, ...]
) -> None:
    objects = {"apiVersion": "v1", "kind": "List", "items": render(*values, namespace=namespace)}
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-")

    result = kubectl.run(*command, stdin=objects, check=False)

    assert result.returncode == 0, result.stderr


def test_the_policies_are_well_typed(operator: Operator) -> None:
    policies = operator.kubectl.get("validatingadmissionpolicies")

    assert policies is not None
    ours = [
        p
        for p in policies["items"]
        if p["metadata"]["name"].startswith(f"mtls-operator.{operator.namespace}.")
    ]
    assert len(ours) == 4
    assert [p["metadata"]["name"] for p in ours if p["status"].get("typeChecking") != {}] == []


def test_a_second_installation_finds_its_place(kubectl: Kubectl, operator: Operator) -> None:
    namespace = f"{operator.namespace}-too"

    _helm(kubectl, "install", "mtls-operator", str(CHART), f"--namespace={namespace}", "--create-namespace")
    _helm(kubectl, "uninstall", "mtls-operator", f"--namespace={namespace}")

    kubectl.run("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("kind", ["kubernetes.io/tls", "Opaque"])
def test_secrets_of_ours_may_be_made(operator: Operator, namespace: str, kind: str) -> None:
    assert operator.creates(secret(namespace, kind=kind)) == ""


def test_no_secret_becomes_a_token(operator: Operator, namespace: str) -> None:
    annotations = {"kubernetes.io/service-account.name": "default"}

    refusal = operator.creates(
        secret(namespace, kind="kubernetes.io/service-account-token", annotations=annotations)
    )

    assert "writes only Secrets of type kubernetes.io/tls and Opaque" in refusal


def test_no_secret_is_made_that_is_not_marked_as_ours(operator: Operator, namespace: str) -> None:
    assert "carry its label or belong to an MTLSService" in operator.creates(secret(namespace, labels={}))


def test_authorities_stay_with_the_operator(operator: Operator, namespace: str) -> None:
    def authority(where: str) -> Object:
        return secret(where, kind="Opaque", labels=AUTHORITY, name="authority-7c1f5b7e")

    assert operator.creates(authority(operator.namespace)) == ""
    assert f"keeps authorities in the namespace {operator.namespace} only" in operator.creates(
        authority(namespace)
    )


def test_a_foreign_secret_is_neither_taken_nor_deleted(
    operator: Operator, namespace: str, exists: Callable[[Object], Object]
) -> None:
    foreign = exists(secret(namespace, labels={}))

    assert "alters and deletes only" in operator.replaces(
        foreign | {"metadata": secret(namespace)["metadata"]}
    )
    assert "alters and deletes only" in operator.deletes(foreign)


@pytest.mark.parametrize(
    "marks",
    [
        {"labels": {"app.kubernetes.io/managed-by": "mtls-operator"}},
        {"labels": {"mtls-operator.io/service-uid": "7c1f5b7e"}},
    ],
    ids=str,
)
def test_a_secret_that_lost_a_label_can_be_healed(
    operator: Operator, namespace: str, exists: Callable[[Object], Object], marks: Object
) -> None:
    exists(secret(namespace, **marks))

    assert operator.replaces(secret(namespace)) == ""


def test_a_secret_that_lost_its_labels_can_be_healed_while_it_has_its_owner(
    operator: Operator, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object]
) -> None:
    manifest = {**OWNER, "metadata": {"name": "orders", "namespace": namespace}, "spec": {}}
    del manifest["name"], manifest["uid"]
    owner = json.loads(kubectl.run("create", "--filename=-", "--output=json", stdin=manifest).stdout)
    exists(secret(namespace, labels={}, ownerReferences=[OWNER | {"uid": owner["metadata"]["uid"]}]))

    assert operator.replaces(secret(namespace)) == ""


def test_a_secret_of_ours_is_never_set_free(
    operator: Operator, namespace: str, exists: Callable[[Object], Object]
) -> None:
    exists(secret(namespace))

    assert "writes only Secrets that carry its label" in operator.replaces(secret(namespace, labels={}))


def test_an_authority_that_lost_its_labels_can_be_marked_and_healed(
    operator: Operator, exists: Callable[[Object], Object]
) -> None:
    bare = exists(secret(operator.namespace, kind="Opaque", labels={}, name="authority-7c1f5b7e"))

    assert (
        operator.patches(bare, {"metadata": {"annotations": {"mtls-operator.io/orphaned-since": "x"}}}) == ""
    )
    assert (
        operator.replaces(
            secret(operator.namespace, kind="Opaque", labels=AUTHORITY, name="authority-7c1f5b7e")
        )
        == ""
    )


@WORKLOAD
def test_workloads_of_ours_may_be_made_changed_and_removed(
    operator: Operator, namespace: str, exists: Callable[[Object], Object], make: Callable[..., Object]
) -> None:
    assert operator.creates(make(namespace)) == ""

    ours = exists(make(namespace))
    assert operator.patches(ours, {"metadata": {"annotations": {"mtls-operator.io/desired": "x"}}}) == ""
    assert operator.deletes(ours) == ""


@WORKLOAD
def test_foreign_workloads_are_neither_made_nor_taken_nor_deleted(
    operator: Operator, namespace: str, exists: Callable[[Object], Object], make: Callable[..., Object]
) -> None:
    assert "carry its label or belong to an MTLSService" in operator.creates(make(namespace, labels={}))

    foreign = exists(make(namespace, labels={"of": "others"}))
    assert "alters and deletes only" in operator.patches(foreign, ADD_OUR_LABELS)
    assert "alters and deletes only" in operator.deletes(foreign)


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
    operator: Operator, namespace: str, pod_spec: Object, sentence: str
) -> None:
    assert sentence in operator.creates(deployment(namespace, pod_spec))


def annotate(key: str) -> Object:
    return {"metadata": {"annotations": {key: "x"}}}


def test_pods_of_ours_may_be_touched(
    operator: Operator, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object]
) -> None:
    ours = _pod_exists(kubectl, exists, pod(namespace))

    assert operator.patches(ours, annotate("mtls-operator.io/delivery")) == ""


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
    operator: Operator, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object], patch: Object
) -> None:
    ours = _pod_exists(kubectl, exists, pod(namespace, annotations={"example.org/theirs": "x"}))

    assert "alters only annotations of a pod" in operator.patches(ours, patch)


def test_foreign_pods_may_not_be_touched(
    operator: Operator, namespace: str, kubectl: Kubectl, exists: Callable[[Object], Object]
) -> None:
    foreign = _pod_exists(kubectl, exists, pod(namespace, labels={}))

    assert "only pods of its own servers" in operator.patches(foreign, annotate("mtls-operator.io/delivery"))


def _pod_exists(kubectl: Kubectl, exists: Callable[[Object], Object], manifest: Object) -> Object:
    _until(
        lambda: (
            kubectl.get(f"--namespace={manifest['metadata']['namespace']}", "serviceaccount/default")
            is not None
        )
    )
    return exists(manifest)


@pytest.mark.parametrize(
    "question",
    [
        "create pods",
        "delete pods",
        "create pods --subresource=exec",
        "create serviceaccounts --subresource=token",
        "update mtlsservices.mtls-operator.io",
        "patch mtlsservices.mtls-operator.io",
        "create clusterrolebindings.rbac.authorization.k8s.io",
        "create rolebindings.rbac.authorization.k8s.io",
        "impersonate users",
        "get nodes",
        "list configmaps",
    ],
)
def test_there_is_no_right_that_is_not_needed(operator: Operator, question: str) -> None:
    account = f"--as=system:serviceaccount:{operator.namespace}:mtls-operator"
    answer: subprocess.CompletedProcess[str] = operator.kubectl.run(
        "auth", "can-i", *question.split(), "--all-namespaces", account, check=False
    )

    assert answer.stdout.strip() == "no"
