"""An Express application in the pod, behind `backend: upstream`, is told who calls by the server alone."""

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.cluster import images, node
from tests.cluster.layout import Cluster
from tests.e2e import clients
from tests.e2e.clients import Files, Target
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace

pytestmark = pytest.mark.e2e

NAME = "shop"
IMAGE = "localhost/express:e2e"
SOURCES = Path(__file__).parent / "express"
TOLD = {"client-cert", "x-forwarded-client-cert", "x-mtls-client", "x-mtls-source", "x-mtls-roles"}
SPOOFED = [
    "Client-Cert: :Zm9yZ2Vk:",
    "client_cert: :Zm9yZ2Vk:",
    "X-Forwarded-Client-Cert: Hash=forged",
    "X-Forwarded_Client-Cert: Hash=forged",
    "X-Mtls-Client: forged",
    "X-Mtls-Roles: forged",
    "Connection: Client-Cert, X-Mtls-Client",
]


@pytest.fixture(scope="module")
def shop(shared_namespace: Namespace, cluster: Cluster) -> Target:
    """The application, ready to be called."""
    node.load(cluster, images.archive_of(SOURCES, IMAGE))
    shared_namespace.apply_ready(
        mtls_service(
            NAME,
            shared_namespace.name,
            replicas=1,
            backend={"upstream": {"url": "http://127.0.0.1:8080"}},
            template={"spec": {"containers": [{"name": "app", "image": IMAGE}]}},
            clients=[{"name": "billing", "roles": ["reader", "writer"]}],
        )
    )
    return shared_namespace.target(NAME)


@pytest.fixture(scope="module")
def billing(shared_namespace: Namespace, shop: Target) -> Files:  # noqa: ARG001 - its Secret is there by then
    return shared_namespace.files(f"{NAME}-client-billing")


def test_it_is_told_who_calls_and_spoofed_copies_are_gone(
    shared_namespace: Namespace, shop: Target, billing: Files
) -> None:
    options = [option for field in SPOOFED for option in ("--header", field)]
    outcome = clients.curl(shop, billing, "/orders?page=2&", *options)
    assert outcome.status == 200, outcome.error
    assert (outcome.json["method"], outcome.json["target"]) == ("GET", "/orders?page=2&")

    told = [(name, value) for name, value in outcome.json["fields"] if name in TOLD]
    assert {name for name, _ in told} == TOLD
    assert len(told) == len(TOLD)
    assert "forged" not in outcome.body
    assert "Zm9yZ2Vk" not in outcome.body

    assert billing.certificate is not None
    certificate = x509.load_pem_x509_certificate(billing.certificate.read_bytes())
    values = dict(told)
    der = certificate.public_bytes(Encoding.DER)
    assert values["client-cert"] == f":{base64.b64encode(der).decode()}:"
    assert values["x-forwarded-client-cert"] == (
        f'Hash={certificate.fingerprint(SHA256()).hex()};Subject="{certificate.subject.rfc4514_string()}"'
        f";URI=spiffe://cluster.local/ns/{shared_namespace.name}/mtlsservice/{NAME}/client/billing"
    )
    assert (values["x-mtls-client"], values["x-mtls-source"]) == ("billing", "own")
    assert values["x-mtls-roles"] == "reader, writer"


def test_nobody_reaches_it_without_a_certificate(shop: Target, billing: Files) -> None:
    assert clients.curl(shop, billing.without_certificate()).status is None
