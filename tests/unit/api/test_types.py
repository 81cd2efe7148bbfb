import pytest
from pydantic import ValidationError

from mtls_operator.api.types import Backend, IdentityBackend, MTLSClient, MTLSService, NetworkPolicyPeer
from tests.unit.api.builders import service


def test_minimal_object_serves_identity_with_two_replicas() -> None:
    spec = service({"clients": [{"name": "billing"}]}).spec
    assert (spec.replicas, spec.port) == (2, 8443)
    assert spec.backend is None
    assert spec.backend_or_default == Backend(identity=IdentityBackend())
    assert not spec.certificates_only
    assert spec.network_policy.enabled
    assert (spec.tls.min_version, spec.tls.x509_strict) == ("1.3", True)
    assert spec.deletion_policy == "Delete"


def test_backend_none_is_certificates_only() -> None:
    assert service({"backend": {"none": {}}}).spec.certificates_only


def test_json_names_become_python_names() -> None:
    parsed = service(
        {
            "certificates": {
                "renewBefore": "8h",
                "privateKey": {"algorithm": "RSA"},
                "ipAddresses": ["192.0.2.7"],
            },
            "networkPolicy": {"extraPorts": [{"port": 9090}], "from": [{"podSelector": {}}]},
            "tls": {"x509Strict": False},
            "clientNamespaces": [{"namespace": "web", "maxClients": 3}],
        }
    )
    certificates = parsed.spec.certificates
    assert (certificates.renew_before, certificates.ip_addresses) == ("8h", ("192.0.2.7",))
    assert certificates.private_key.algorithm == "RSA"
    assert parsed.spec.network_policy.extra_ports[0].protocol == "TCP"
    assert parsed.spec.network_policy.from_[0].pod_selector is not None
    assert not parsed.spec.tls.x509_strict
    assert parsed.spec.client_namespaces[0].max_clients == 3


def test_network_policy_peer_is_dumped_as_it_was_written() -> None:
    written = {
        "podSelector": {},
        "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}]},
        "ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]},
    }
    peer = NetworkPolicyPeer.model_validate(written)
    assert peer.model_dump(mode="json", by_alias=True, exclude_none=True) == written


def test_template_is_kept_as_it_is() -> None:
    template = {"spec": {"containers": [{"name": "proxy", "anything": [1, {"a": None}]}]}}
    assert service({"template": template}).spec.template == template


def test_object_stored_under_another_schema_is_still_understood() -> None:
    parsed = service(
        {"clients": [{"name": "Much Too Liberal", "later": 1}], "notYetInvented": True, "port": 443},
        status={"conditions": [], "phase": "Running"},
    )
    assert parsed.spec.clients[0].name == "Much Too Liberal"
    assert parsed.spec.port == 443
    assert parsed.status is not None


def test_object_without_spec_and_status_is_understood() -> None:
    metadata = {"name": "orders", "namespace": "shop"}
    parsed = MTLSService.model_validate({"apiVersion": "v", "kind": "MTLSService", "metadata": metadata})
    assert parsed.spec.clients == ()
    assert parsed.status is None


def test_parsed_object_does_not_change() -> None:
    parsed = service({})
    with pytest.raises(ValidationError, match="frozen"):
        parsed.spec.replicas = 3


def test_an_mtlsclient_is_understood_under_another_schema() -> None:
    parsed = MTLSClient.model_validate(
        {
            "apiVersion": "mtls-operator.io/v1alpha1",
            "kind": "MTLSClient",
            "metadata": {"name": "billing", "namespace": "web"},
            "spec": {
                "serviceRef": {"name": "orders", "namespace": "shop"},
                "secretName": "orders-tls",
                "later": 1,
            },
        }
    )
    assert (parsed.spec.service_ref.namespace, parsed.spec.secret_name) == ("shop", "orders-tls")
    assert (parsed.spec.duration, parsed.spec.formats, parsed.status) == (None, (), None)
