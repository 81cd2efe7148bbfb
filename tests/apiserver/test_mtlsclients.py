"""The operator as a process of its own, under its own account: callers in other namespaces."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mtls_operator.api import names
from mtls_operator.reconcile.ports import Object
from tests.apiserver.installation import Operator, until
from tests.cluster.kubectl import Kubectl
from tests.cluster.layout import Cluster

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]

SOURCES = Path(__file__).parents[2] / "operator"
PORT = 18480
COLLECTED = 120
"""Seconds until Kubernetes has removed what an MTLSClient owned: it looks for new kinds every 30 s."""


@pytest.fixture(scope="module")
def running(
    cluster: Cluster, kubectl: Kubectl, operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The operator at work, with no more rights than the chart gives it."""
    folder = tmp_path_factory.mktemp("operator")
    config = folder / "kubeconfig"
    config.write_bytes(cluster.kubeconfig.read_bytes())
    own = Kubectl(config)
    token = kubectl.run("create", "token", "mtls-operator", f"--namespace={operator.namespace}").stdout
    own.run("config", "set-credentials", "operator", f"--token={token.strip()}")
    own.run("config", "set-context", "--current", "--user=operator")
    command = [sys.executable, "-m", "mtls_operator.main", f"--namespace={operator.namespace}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--server-image=localhost/mtls-server", f"--admin-port={PORT}"],
            env={**os.environ, "KUBECONFIG": str(config), "PYTHONPATH": str(SOURCES)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            await_ready(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def await_ready(process: subprocess.Popen[bytes]) -> None:
    """Wait until the operator has seen all that there is."""
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5):
            return
        time.sleep(0.2)
    pytest.fail("the operator does not become ready")


@pytest.fixture
def elsewhere(kubectl: Kubectl) -> Iterator[str]:
    """The namespace of a caller."""
    with kubectl.namespace() as name:
        yield name


def service(namespace: str, *consents: str) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "clientNamespaces": [{"namespace": consent, "roles": ["reader"]} for consent in consents],
        },
    }


def client(namespace: str, service_namespace: str) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.CLIENT_KIND,
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "serviceRef": {"name": "orders", "namespace": service_namespace},
            "secretName": "orders-tls",
        },
    }


def apply(kubectl: Kubectl, manifest: Object) -> None:
    result = kubectl.run("apply", "--server-side", "--filename=-", stdin=manifest, check=False)
    assert result.returncode == 0, result.stderr


def ready(kubectl: Kubectl, namespace: str) -> str:
    found = kubectl.get(f"--namespace={namespace}", "mtlsclients/web") or {}
    conditions = (found.get("status") or {}).get("conditions") or [{}]
    return f"{conditions[0].get('status')} {conditions[0].get('reason')}"


def secret(kubectl: Kubectl, namespace: str, name: str) -> Object | None:
    return kubectl.get(f"--namespace={namespace}", f"secrets/{name}")


def policy(kubectl: Kubectl, namespace: str) -> Object:
    found = secret(kubectl, namespace, "orders-server")
    assert found is not None
    document: Object = json.loads(base64.b64decode(found["data"]["policy.json"]))
    return document


@pytest.mark.usefixtures("running")
def test_a_caller_elsewhere_has_a_secret_for_as_long_as_the_service_consents(
    kubectl: Kubectl, namespace: str, elsewhere: str
) -> None:
    uri = f"spiffe://cluster.local/ns/{elsewhere}/mtlsclient/web"
    apply(kubectl, client(elsewhere, namespace))
    until(lambda: ready(kubectl, elsewhere) == "False NotPermitted")
    assert secret(kubectl, elsewhere, "orders-tls") is None

    apply(kubectl, service(namespace, elsewhere))
    until(lambda: ready(kubectl, elsewhere) == "True Issued")
    found = secret(kubectl, elsewhere, "orders-tls")
    assert found is not None
    assert {"tls.crt", "tls.key", "ca.crt"} == found["data"].keys()
    assert policy(kubectl, namespace)["clients"][uri] == {"name": f"{elsewhere}/web", "roles": ["reader"]}

    apply(kubectl, service(namespace))
    until(lambda: secret(kubectl, elsewhere, "orders-tls") is None)
    until(lambda: uri in policy(kubectl, namespace).get("revoked", {}))
    assert uri not in policy(kubectl, namespace).get("clients", {})
    until(lambda: ready(kubectl, elsewhere) == "False NotPermitted")


@pytest.mark.usefixtures("running")
def test_a_deleted_mtlsclient_takes_its_secret_and_its_identity_along(
    kubectl: Kubectl, namespace: str, elsewhere: str
) -> None:
    uri = f"spiffe://cluster.local/ns/{elsewhere}/mtlsclient/web"
    apply(kubectl, service(namespace, elsewhere))
    apply(kubectl, client(elsewhere, namespace))
    until(lambda: ready(kubectl, elsewhere) == "True Issued")
    kubectl.run("delete", f"--namespace={elsewhere}", "mtlsclients/web")
    until(lambda: uri in policy(kubectl, namespace).get("revoked", {}))
    until(lambda: secret(kubectl, elsewhere, "orders-tls") is None, seconds=COLLECTED)


@pytest.mark.usefixtures("running")
def test_a_secret_of_somebody_else_keeps_its_contents(
    kubectl: Kubectl, namespace: str, elsewhere: str
) -> None:
    theirs = ("create", "secret", "generic", "orders-tls", f"--namespace={elsewhere}", "--from-literal=a=b")
    kubectl.run(*theirs)
    apply(kubectl, service(namespace, elsewhere))
    apply(kubectl, client(elsewhere, namespace))
    until(lambda: ready(kubectl, elsewhere) == "False NameTaken")
    found = secret(kubectl, elsewhere, "orders-tls")
    assert found is not None
    assert found["data"].keys() == {"a"}
