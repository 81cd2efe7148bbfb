"""A CA of the user's own signs, one of a partner is trusted, and a slip with either interrupts nobody."""

import base64
from dataclasses import dataclass

import pytest
from cryptography import x509

from tests.e2e import clients
from tests.e2e.clients import Files
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import Object
from tests.e2e.waiting import holds_for, until
from tests.unit.server import pki

pytestmark = pytest.mark.e2e

NAME = "orders"
ROOT = pki.authority("root")
SIGNER = pki.authority("orders CA", issuer=ROOT)
SIBLING = pki.authority("another CA", issuer=ROOT)
PARTNER = pki.authority("orders CA")
"""With the very name of ours."""
WAREHOUSE = "spiffe://partner.example/warehouse"
USE = "mtls-operator.io/use"
SPEC = {
    "replicas": 1,
    "clients": [{"name": "billing"}],
    "authority": {role: {"secretRef": {"name": "orders-ca"}} for role in ("server", "client")},
    "trust": [{"name": "partner", "configMapRef": {"name": "partner-cas", "key": "ca.crt"}}],
    "authorization": {"rules": [{"source": "partner", "uri": WAREHOUSE, "roles": ["stock"]}]},
}


def ca_secret(namespace: str, certificates: bytes, key: bytes, **labels: str) -> Object:
    data = {"tls.crt": certificates, "tls.key": key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "orders-ca", "namespace": namespace, "labels": labels},
        "data": {name: base64.b64encode(contents).decode() for name, contents in data.items()},
    }


def partner_cas(namespace: str, pem: str) -> Object:
    metadata = {"name": "partner-cas", "namespace": namespace, "labels": {USE: "trust"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": pem}}


@dataclass(frozen=True)
class Owned:
    """A running service below the user's root."""

    namespace: Namespace

    def status_of(self, issued: pki.Issued | None = None) -> int | None:
        """Call with a certificate, or with that of `billing`; None: it ended in the handshake."""
        files = self.namespace.files(f"{NAME}-client-billing")
        if issued is not None:
            data = {"tls.crt": issued.pem, "tls.key": issued.key_pem, "ca.crt": files.anchors.read_bytes()}
            files = Files.of(data, self.namespace.folder / f"{issued.certificate.serial_number:x}")
        return clients.curl(self.namespace.target(NAME), files).status

    def stalled(self) -> str:
        condition = self.namespace.reader.condition(self.namespace.name, NAME, "Stalled")
        return str(condition["reason"]) if condition.get("status") == "True" else ""

    @property
    def billing(self) -> str:
        return f"spiffe://cluster.local/ns/{self.namespace.name}/mtlsservice/{NAME}/client/billing"


@pytest.fixture(scope="module")
def owned(shared_namespace: Namespace) -> Owned:
    namespace = shared_namespace
    chain = SIGNER.pem + ROOT.pem
    namespace.kubectl.apply_server_side(
        ca_secret(namespace.name, chain, SIGNER.key_pem),
        partner_cas(namespace.name, PARTNER.pem.decode()),
    )
    namespace.kubectl.apply(
        mtls_service(NAME, namespace.name, **SPEC),
    )
    owned = Owned(namespace)
    until("consent is asked for", lambda: owned.stalled() == "AuthorityMissing", seconds=20)
    namespace.kubectl("label", "secret", "orders-ca", f"--namespace={namespace.name}", f"{USE}=authority")
    namespace.ready(NAME)
    return owned


def test_callers_trust_the_root_and_the_server_exactly_the_ca_that_signs(owned: Owned) -> None:
    data = owned.namespace.reader.data(owned.namespace.name, f"{NAME}-client-billing")
    assert x509.load_pem_x509_certificates(data["ca.crt"]) == [ROOT.certificate]
    assert owned.status_of() == 200
    assert owned.status_of(pki.client(SIGNER, uri=owned.billing)) == 200
    assert owned.status_of(pki.client(SIBLING, uri=owned.billing)) is None


def test_node_and_openssl_accept_the_server_by_its_root(owned: Owned) -> None:
    files, target = owned.namespace.files(f"{NAME}-client-billing"), owned.namespace.target(NAME)
    assert clients.node(target, files).status == 200
    assert clients.openssl(target, files).status == 200


def test_a_trusted_ca_speaks_for_whom_a_rule_names_and_never_for_our_callers(owned: Owned) -> None:
    assert owned.status_of(pki.client(PARTNER, uri=WAREHOUSE, common_name="warehouse")) == 200
    forged = pki.client(PARTNER, uri=owned.billing)
    assert forged.certificate.issuer == SIGNER.certificate.subject
    assert owned.status_of(forged) == 403


def test_a_slip_with_either_interrupts_nobody_and_is_told(owned: Owned) -> None:
    namespace, warehouse = owned.namespace, pki.client(PARTNER, uri=WAREHOUSE)
    namespace.kubectl.apply_server_side(partner_cas(namespace.name, PARTNER.key_pem.decode()))
    until("the source is refused", lambda: owned.stalled() == "TrustInvalid", seconds=20)
    holds_for("the partner is served", lambda: owned.status_of(warehouse) == 200, seconds=3)
    namespace.kubectl.apply_server_side(partner_cas(namespace.name, PARTNER.pem.decode()))
    namespace.ready(NAME)
    namespace.kubectl("delete", "secret", "orders-ca", f"--namespace={namespace.name}")
    until("the CA is missed", lambda: owned.stalled() == "AuthorityMissing", seconds=20)
    assert owned.status_of() == 200
    namespace.kubectl.apply_server_side(
        ca_secret(namespace.name, SIGNER.pem + ROOT.pem, SIGNER.key_pem, **{USE: "authority"})
    )
    namespace.ready(NAME)


def test_an_entry_that_is_removed_ends_its_trust(owned: Owned) -> None:
    namespace, warehouse = owned.namespace, pki.client(PARTNER, uri=WAREHOUSE)
    without = {field: value for field, value in SPEC.items() if field not in {"trust", "authorization"}}
    namespace.kubectl.apply(mtls_service(NAME, namespace.name, **without))
    until("the partner is a stranger", lambda: owned.status_of(warehouse) is None, seconds=20)
    assert owned.status_of() == 200
