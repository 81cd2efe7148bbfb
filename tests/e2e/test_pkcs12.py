"""A Java program calls the service with the stores of its Secret, and with nothing else."""

import shutil

import pytest

from tests.cluster import packages
from tests.e2e import clients
from tests.e2e.clients import Outcome
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import Object
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "orders"
SECRET = f"{NAME}-client-billing"
STORES = "billing-stores"
BILLING = {
    "name": "billing",
    "formats": [{"type": "PKCS12", "passwordSecretRef": {"name": STORES, "key": "password"}}],
}


@pytest.fixture(scope="module", autouse=True)
def java() -> None:
    if not shutil.which("java"):
        packages.require("default-jdk-headless")


def test_a_java_program_calls_with_its_keystore_and_truststore(namespace: Namespace) -> None:
    namespace.kubectl.apply(password(namespace, "changeit"))
    namespace.apply_ready(mtls_service(NAME, namespace.name, replicas=1, clients=[BILLING]))
    outcome = call(namespace, "changeit")
    assert (outcome.status, outcome.json["client"]) == (200, "billing"), outcome.error

    former = stores(namespace)
    namespace.kubectl.apply(password(namespace, "correct horse battery staple"))
    until("both are written anew", lambda: not stores(namespace) & former, seconds=5)
    assert call(namespace, "correct horse battery staple").status == 200
    assert "password was incorrect" in call(namespace, "changeit").error


def password(namespace: Namespace, value: str) -> Object:
    """Return the Secret that lends the operator a password."""
    labels = {"mtls-operator.io/use": "password"}
    metadata = {"name": STORES, "namespace": namespace.name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": value}}


def stores(namespace: Namespace) -> set[bytes]:
    data = namespace.reader.data(namespace.name, SECRET)
    return {data["keystore.p12"], data["truststore.p12"]}


def call(namespace: Namespace, password: str) -> Outcome:
    return clients.java(namespace.target(NAME), namespace.files(SECRET).anchors.parent, password)
