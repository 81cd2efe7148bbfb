"""One `kubectl apply` gives a working mTLS service, and a caller that it knows."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e import clients
from tests.e2e.clients import Files, Outcome, Target
from tests.e2e.namespaces import Namespace

pytestmark = pytest.mark.e2e

SAMPLE = Path(__file__).parents[2] / "deploy" / "samples" / "orders.yaml"


@pytest.fixture
def orders(namespace: Namespace) -> Target:
    """The sample, applied and ready as its own words say."""
    namespace.kubectl("apply", "--filename", str(SAMPLE), "--namespace", namespace.name)
    namespace.kubectl.wait("mtls/orders", "condition=Ready", namespace.name, seconds=20)
    return namespace.target("orders")


@pytest.fixture
def billing(namespace: Namespace, orders: Target) -> Files:  # noqa: ARG001 - its Secret is there once orders are
    return namespace.files("orders-client-billing")


def test_every_kind_of_caller_learns_who_it_is_from_the_sample(
    namespace: Namespace, orders: Target, billing: Files
) -> None:
    outcomes = {
        "curl": clients.curl(orders, billing),
        "openssl": clients.openssl(orders, billing),
        "node": clients.node(orders, billing),
        "python": clients.python(orders, billing),
    }
    for caller, outcome in outcomes.items():
        assert outcome.status == 200, f"{caller}: {outcome.error}"
        assert_says_what_openssl_says(outcome, billing.certificate)
        assert outcome.json["spiffe_id"] == (
            f"spiffe://cluster.local/ns/{namespace.name}/mtlsservice/orders/client/billing"
        )
        assert (outcome.json["client"], outcome.json["roles"]) == ("billing", ["reader"])


def assert_says_what_openssl_says(outcome: Outcome, certificate: Path | None) -> None:
    said = outcome.json
    asked = ["-subject", "-issuer", "-startdate", "-enddate", "-serial", "-nameopt", "RFC2253"]
    printed = clients.certificate_says(certificate, *asked, "-fingerprint", "-sha256")
    facts = dict(line.split("=", 1) for line in printed.splitlines())
    assert said["subject"]["dn"] == facts["subject"]
    assert f"CN={said['subject']['cn']}" in facts["subject"].split(",")
    assert said["issuer"]["dn"] == facts["issuer"]
    assert f"CN={said['issuer']['cn']}" in facts["issuer"].split(",")
    assert moment(said["valid_from"]) == openssl_moment(facts["notBefore"])
    assert moment(said["valid_to"]) == openssl_moment(facts["notAfter"])
    assert int(said["serial"], 16) == int(facts["serial"], 16)
    assert said["fingerprint_sha256"] == facts["sha256 Fingerprint"]
    names = clients.certificate_says(certificate, "-ext", "subjectAltName")
    assert re.findall(r"URI:(\S+)", names) == [said["spiffe_id"]]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def openssl_moment(text: str) -> datetime:
    return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
