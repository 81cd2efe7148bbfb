"""A server written by hand in Node.js, which knows nothing of us, runs on our Secret as it is."""

from collections.abc import Callable

import pytest

from tests.cluster.layout import Cluster
from tests.e2e import clients, node_server
from tests.e2e.clients import Files, Outcome, Target
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import POD, WORKLOAD, Object
from tests.unit.server import pki

pytestmark = pytest.mark.e2e

NAME = "legacy"


def pod(namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": node_server.pod_spec(f"{NAME}-server"),
    }


@pytest.fixture(scope="module")
def legacy(shared_namespace: Namespace, cluster: Cluster) -> Target:
    """The server, running on the Secret of an MTLSService that has certificates only."""
    node_server.load_image(cluster)
    namespace = shared_namespace
    namespace.apply_ready(
        mtls_service(NAME, namespace.name, backend={"none": {}}, clients=[{"name": "billing"}])
    )
    namespace.kubectl.apply(pod(namespace.name))
    namespace.kubectl.wait(f"pod/{NAME}", "condition=Ready", namespace.name, seconds=60)
    address = namespace.reader.get(POD, namespace.name, NAME)["status"]["podIP"]
    return Target(address, 8443, namespace.dns_name(NAME))


@pytest.fixture(scope="module")
def billing(shared_namespace: Namespace, legacy: Target) -> Files:  # noqa: ARG001 - its Secret is there by then
    return shared_namespace.files(f"{NAME}-client-billing")


@pytest.mark.parametrize("call", [clients.curl, clients.node, clients.python, clients.openssl])
def test_it_serves_our_client_and_knows_it(
    legacy: Target, billing: Files, call: Callable[[Target, Files], Outcome]
) -> None:
    outcome = call(legacy, billing)
    assert outcome.status == 200, outcome.error
    assert outcome.json["subject"] == "billing"
    printed = clients.certificate_says(billing.certificate, "-fingerprint", "-sha256")
    assert outcome.json["fingerprint"] == printed.partition("=")[2]


def test_it_refuses_whoever_is_no_client_of_ours(
    shared_namespace: Namespace, legacy: Target, billing: Files
) -> None:
    anonymous = billing.without_certificate()
    assert clients.node(legacy, anonymous).error == "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert clients.openssl(legacy, anonymous).status is None

    stranger = pki.client(pki.authority())
    data = {"tls.crt": stranger.pem, "tls.key": stranger.key_pem, "ca.crt": billing.anchors.read_bytes()}
    files = Files.of(data, shared_namespace.folder / "stranger")
    assert clients.curl(legacy, files).status is None
    assert clients.node(legacy, files).error


def test_there_is_nothing_of_ours_but_secrets(shared_namespace: Namespace, legacy: Target) -> None:  # noqa: ARG001
    for kind in WORKLOAD:
        assert shared_namespace.reader.find(kind, shared_namespace.name, NAME) is None
