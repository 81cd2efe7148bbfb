"""The chart on a real API server: it installs, and grants exactly what it must."""

import subprocess

import pytest

from tests.apiserver.installation import Operator, command
from tests.cluster.kubectl import Kubectl
from tests.unit.chart.rendering import CHART, render

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]


@pytest.mark.parametrize("values", [(), ("watchNamespaces={default}",)], ids=["cluster", "namespaced"])
def test_the_api_server_takes_all_that_the_chart_renders(
    kubectl: Kubectl, namespace: str, values: tuple[str, ...]
) -> None:
    objects = {"apiVersion": "v1", "kind": "List", "items": render(*values, namespace=namespace)}
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-")

    result = kubectl.run(*command, stdin=objects, check=False)

    assert result.returncode == 0, result.stderr


def test_the_policies_are_well_typed(operator: Operator) -> None:
    policies = operator.account.kubectl.get("validatingadmissionpolicies")

    assert policies is not None
    ours = [
        p
        for p in policies["items"]
        if p["metadata"]["name"].startswith(f"mtls-operator.{operator.namespace}.")
    ]
    assert len(ours) == 6
    assert [p["metadata"]["name"] for p in ours if p["status"].get("typeChecking") != {}] == []


def test_a_second_installation_finds_its_place(kubectl: Kubectl, operator: Operator) -> None:
    namespace = f"{operator.namespace}-too"

    command(kubectl, "install", "mtls-operator", str(CHART), f"--namespace={namespace}", "--create-namespace")
    command(kubectl, "uninstall", "mtls-operator", f"--namespace={namespace}")

    kubectl.run("delete", "namespace", namespace, "--wait=false")


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
        "create configmaps",
        "update mtlsclients.mtls-operator.io",
        "create statefulsets.apps",
        "update daemonsets.apps",
        "delete statefulsets.apps",
    ],
)
def test_there_is_no_right_that_is_not_needed(operator: Operator, question: str) -> None:
    account = f"--as=system:serviceaccount:{operator.namespace}:mtls-operator"
    answer: subprocess.CompletedProcess[str] = operator.account.kubectl.run(
        "auth", "can-i", *question.split(), "--all-namespaces", account, check=False
    )

    assert answer.stdout.strip() == "no"
