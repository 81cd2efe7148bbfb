"""Every rule of the CRD, on the API server: what it lets pass, what it refuses, and with which sentence."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from mtls_operator.api import crd, defaults
from mtls_operator.api.rules import values
from mtls_operator.desired import authorization
from mtls_operator.pki.keys import KeyProfile
from mtls_server.authorization.routes import Routes
from mtls_server.authorization.rules import Rules
from mtls_server.backends.upstream.target import parse_target
from tests.apiserver.cases import OF_CLIENTS, OF_SERVICES
from tests.apiserver.cases.case import BILLING, SHOP, Case, Spec, certificates, client
from tests.apiserver.cases.clients import MINIMAL
from tests.cluster.kubectl import Kubectl
from tests.unit.api.builders import service

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]


def identify(case: Case) -> str:
    return f"{case.field}: {case.rule.message[:40]}"


@pytest.mark.parametrize("case", OF_SERVICES, ids=identify)
def test_rule_lets_pass_what_is_right_and_refuses_the_rest_with_its_sentence(
    case: Case, kubectl: Kubectl
) -> None:
    for spec in case.accepted:
        assert judged(kubectl, spec) == ""
    for spec in case.refused:
        assert_blamed(case, judged(kubectl, spec))


@pytest.mark.parametrize("case", OF_CLIENTS, ids=identify)
def test_rule_judges_an_mtlsclient(case: Case, kubectl: Kubectl) -> None:
    for spec in case.accepted:
        assert judged_client(kubectl, spec) == ""
    for spec in case.refused:
        assert_blamed(case, judged_client(kubectl, spec))


def assert_blamed(case: Case, complaints: str) -> None:
    blaming = [line for line in complaints.splitlines() if f"{case.field}: Invalid value: " in line]
    assert any(line.endswith(case.rule.message) for line in blaming), complaints


@pytest.mark.parametrize("case", OF_SERVICES, ids=identify)
def test_what_passes_is_understood(case: Case) -> None:
    for spec in case.accepted:
        parsed = service(spec)
        certificates_ = parsed.spec.certificates
        duration = defaults.certificate_duration(certificates_)
        assert timedelta() < defaults.renew_before(certificates_, duration) < duration
        assert all(map(ip_address, certificates_.ip_addresses))
        assert KeyProfile(*defaults.key_profile(certificates_)).size


@pytest.mark.parametrize("case", OF_SERVICES, ids=identify)
def test_what_passes_is_understood_by_the_server(case: Case) -> None:
    for spec in case.accepted:
        parsed = service(spec).spec
        Rules.compile(authorization.rules(parsed.authorization))
        Routes.compile(authorization.routes(parsed.authorization))
        if upstream := parsed.backend_or_default.upstream:
            assert parse_target(upstream.url, insecure_acknowledged=upstream.insecure_acknowledged).port


@pytest.mark.parametrize("name", ["orders", "o", "a-clients", "my-server", "client", "x" * 52])
def test_name_leaves_room_for_the_names_of_secrets(name: str, kubectl: Kubectl) -> None:
    assert judged(kubectl, {}, name) == ""


@pytest.mark.parametrize("name", ["a-client-b", "a-client", "7", "a.b", "x" * 53])
def test_name_that_could_be_taken_for_another_is_refused(name: str, kubectl: Kubectl) -> None:
    assert f"metadata.name: Invalid value: {values.NAME.message}" in judged(kubectl, {}, name)


def test_misspelled_duration_is_told_of_once(kubectl: Kubectl) -> None:
    assert len(judged(kubectl, certificates(duration="a day", renewBefore="1h")).splitlines()) == 1


@pytest.mark.parametrize("field", ["name", "roles"])
def test_clients_and_their_roles_are_named_once(field: str, kubectl: Kubectl) -> None:
    twice: dict[str, Spec] = {
        "name": {"clients": [BILLING, BILLING]},
        "roles": client(roles=["reader", "reader"]),
    }
    assert "Duplicate value" in judged(kubectl, twice[field])


@pytest.mark.parametrize("name", ["billing", "7", "a-client-b", "x" * 63])
def test_an_mtlsclient_is_named_by_a_dns_label(name: str, kubectl: Kubectl) -> None:
    assert judged_client(kubectl, {}, name) == ""


@pytest.mark.parametrize("name", ["a.b", "x" * 64])
def test_an_mtlsclient_with_another_name_is_refused(name: str, kubectl: Kubectl) -> None:
    assert f"metadata.name: Invalid value: {values.CLIENT_NAME.message}" in judged_client(kubectl, {}, name)


def test_an_mtlsclient_keeps_its_service(kubectl: Kubectl, namespace: str) -> None:
    kubectl.run("create", "--filename=-", stdin=mtlsclient(MINIMAL, namespace=namespace))
    longer = mtlsclient(MINIMAL | {"duration": "1h"}, namespace=namespace)
    elsewhere = mtlsclient(
        MINIMAL | {"serviceRef": {"name": "payments", "namespace": "shop"}}, namespace=namespace
    )

    kubectl.run("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=longer)
    refused = kubectl.run("replace", "--filename=-", stdin=elsewhere, check=False).stderr

    assert f"spec.serviceRef: Invalid value: {values.IMMUTABLE_REFERENCE.message}" in refused


def test_as_many_entries_as_the_bounds_allow_are_judged_in_time(kubectl: Kubectl) -> None:
    """The API server bounds what rules may cost on one object, beside what it estimates for a CRD."""
    roles = {"roles": [f"role-{number}" for number in range(8)], "tenant": "acme"}
    spec = {
        "authority": {"propagation": "10h"},
        "trust": [
            {"name": f"source-{number}", "configMapRef": {"name": "partner", "key": "ca.crt"}}
            for number in range(64)
        ],
        "clients": [
            {"name": f"client-{number}", "duration": "1h30m20s", "restart": [SHOP]} | roles
            for number in range(1000)
        ],
        "clientNamespaces": [{"namespace": f"namespace-{number}"} | roles for number in range(100)],
        "authorization": {
            "rules": [
                {"source": "source-63", "spiffeId": f"spiffe://shop.example/ns/*/sa/{number}"} | roles
                for number in range(256)
            ],
            "routes": [{"path": f"/orders/{number}/*/lines/**", "methods": ["GET"]} for number in range(256)],
        },
    }
    assert judged(kubectl, spec) == ""


def test_every_rule_has_been_tried() -> None:
    by_themselves = (values.NAME, values.CLIENT_NAME, values.IMMUTABLE_REFERENCE)
    tried = {(case.rule.expression, case.rule.message) for case in [*OF_SERVICES, *OF_CLIENTS]}
    assert tried | {rule[:2] for rule in by_themselves} == _rules([crd.mtlsservice(), crd.mtlsclient()])


def judged(kubectl: Kubectl, spec: Spec, name: str = "orders") -> str:
    """Return what the API server has against an MTLSService; it stores nothing."""
    return _judged(kubectl, manifest("MTLSService", name, "default", spec))


def judged_client(kubectl: Kubectl, spec: Spec, name: str = "billing") -> str:
    """Return what the API server has against an MTLSClient that says this beside what it must."""
    return _judged(kubectl, mtlsclient(MINIMAL | spec, name))


def mtlsclient(spec: Spec, name: str = "billing", namespace: str = "default") -> Spec:
    return manifest("MTLSClient", name, namespace, spec)


def manifest(kind: str, name: str, namespace: str, spec: Spec) -> Spec:
    return {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def _judged(kubectl: Kubectl, body: Spec) -> str:
    return kubectl.run("create", "--dry-run=server", "--filename=-", stdin=body, check=False).stderr.strip()


def _rules(node: Any) -> set[tuple[str, str]]:
    if isinstance(node, list):
        return {rule for item in node for rule in _rules(item)}
    if not isinstance(node, dict):
        return set()
    own = {(rule["rule"], rule["message"]) for rule in node.get("x-kubernetes-validations", ())}
    return own.union(*(_rules(value) for value in node.values()))
