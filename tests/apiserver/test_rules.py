"""Every rule of the CRD, on the API server: what it lets pass, what it refuses, and with which sentence."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from mtls_operator.api import defaults, generate, rules
from mtls_operator.pki.keys import KeyProfile
from tests.apiserver.cases import BILLING, CASES, Case, Spec, certificates, client
from tests.apiserver.conftest import Kubectl
from tests.unit.api.builders import service

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crd")]


def identify(case: Case) -> str:
    return f"{case.field}: {case.rule.message[:40]}"


@pytest.mark.parametrize("case", CASES, ids=identify)
def test_rule_lets_pass_what_is_right_and_refuses_the_rest_with_its_sentence(
    case: Case, kubectl: Kubectl
) -> None:
    for spec in case.accepted:
        assert judged(kubectl, spec) == ""
    for spec in case.refused:
        complaints = judged(kubectl, spec).splitlines()
        blaming = [line for line in complaints if f"{case.field}: Invalid value: " in line]
        assert any(line.endswith(case.rule.message) for line in blaming), (spec, complaints)


@pytest.mark.parametrize("case", CASES, ids=identify)
def test_what_passes_is_understood(case: Case) -> None:
    for spec in case.accepted:
        parsed = service(spec)
        certificates_ = parsed.spec.certificates
        duration = defaults.certificate_duration(certificates_)
        assert timedelta() < defaults.renew_before(certificates_, duration) < duration
        assert all(map(ip_address, certificates_.ip_addresses))
        assert KeyProfile(*defaults.key_profile(certificates_)).size


@pytest.mark.parametrize("name", ["orders", "o", "a-clients", "my-server", "client", "x" * 52])
def test_name_leaves_room_for_the_names_of_secrets(name: str, kubectl: Kubectl) -> None:
    assert judged(kubectl, {}, name) == ""


@pytest.mark.parametrize("name", ["a-client-b", "a-client", "7", "a.b", "x" * 53])
def test_name_that_could_be_taken_for_another_is_refused(name: str, kubectl: Kubectl) -> None:
    assert f"metadata.name: Invalid value: {rules.NAME.message}" in judged(kubectl, {}, name)


def test_misspelled_duration_is_told_of_once(kubectl: Kubectl) -> None:
    assert len(judged(kubectl, certificates(duration="a day", renewBefore="1h")).splitlines()) == 1


@pytest.mark.parametrize("field", ["name", "roles"])
def test_clients_and_their_roles_are_named_once(field: str, kubectl: Kubectl) -> None:
    twice: dict[str, Spec] = {
        "name": {"clients": [BILLING, BILLING]},
        "roles": client(roles=["reader", "reader"]),
    }
    assert "Duplicate value" in judged(kubectl, twice[field])


def test_every_rule_has_been_tried() -> None:
    tried = {(case.rule.expression, case.rule.message) for case in CASES} | {rules.NAME[:2]}
    assert _rules(yaml.safe_load(generate.documents()["crds/mtlsservices.yaml"])) == tried


def judged(kubectl: Kubectl, spec: Spec, name: str = "orders") -> str:
    """Return what the API server has against an object; it stores nothing."""
    body = {
        "apiVersion": "mtls-operator.io/v1alpha1",
        "kind": "MTLSService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
    return kubectl.run("create", "--dry-run=server", "--filename=-", stdin=body, check=False).stderr.strip()


def _rules(node: Any) -> set[tuple[str, str]]:
    if isinstance(node, list):
        return {rule for item in node for rule in _rules(item)}
    if not isinstance(node, dict):
        return set()
    own = {(rule["rule"], rule["message"]) for rule in node.get("x-kubernetes-validations", ())}
    return own.union(*(_rules(value) for value in node.values()))
