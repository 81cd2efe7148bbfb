"""Who has no certificate of the service's own authority gets no further than the handshake."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from tests.e2e import clients
from tests.e2e.clients import Files, Outcome, Target
from tests.e2e.installation import Operator
from tests.e2e.manifests import COUNTING, mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import Object
from tests.e2e.waiting import until
from tests.unit.server import pki

pytestmark = pytest.mark.e2e

NAME = "guarded"


@dataclass(frozen=True)
class Guarded:
    """A running service whose application counts the requests that reach it."""

    namespace: Namespace
    target: Target
    pod: str
    caller: Files
    authority: pki.Issued
    """What signs its clients."""

    def handled(self) -> int:
        """Return how many requests the application has handled before this one."""
        outcome = clients.curl(self.target, self.caller)
        assert outcome.status == 200, outcome.error
        return int(outcome.json["handled"]) - 1

    def failures(self) -> list[Object]:
        """Return what the pod's log says of failed handshakes."""
        lines = [json.loads(line) for line in self.namespace.log(self.pod)]
        return [line for line in lines if line.get("event") == "handshake_failed"]

    @property
    def uri(self) -> str:
        """Who its one client is."""
        return f"spiffe://cluster.local/ns/{self.namespace.name}/mtlsservice/{NAME}/client/billing"

    def files(self, issued: pki.Issued) -> Files:
        """Write down what a caller with this certificate uses."""
        data = {"tls.crt": issued.pem, "tls.key": issued.key_pem, "ca.crt": self.caller.anchors.read_bytes()}
        return Files.of(data, self.namespace.folder / f"{issued.certificate.serial_number:x}")


@pytest.fixture(scope="module")
def guarded(shared_namespace: Namespace, operator: Operator) -> Guarded:
    namespace = shared_namespace
    namespace.with_counting_app()
    service = namespace.apply_ready(
        mtls_service(NAME, namespace.name, replicas=1, clients=[{"name": "billing"}], **COUNTING)
    )
    data = namespace.reader.data(operator.namespace, operator.authority(service))
    key = load_pem_private_key(data["client.key"], password=None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return Guarded(
        namespace=namespace,
        target=namespace.target(NAME),
        pod=namespace.reader.pods(namespace.name, NAME)[0]["metadata"]["name"],
        caller=namespace.files(f"{NAME}-client-billing"),
        authority=pki.Issued(x509.load_pem_x509_certificate(data["client.crt"]), key),
    )


CALLERS: dict[str, Callable[[Target, Files], Outcome]] = {
    "openssl": clients.openssl,
    "curl": clients.curl,
    "python": clients.python,
    "node": clients.node,
}


@dataclass(frozen=True)
class Refusal:
    """What a caller hears in the handshake, and what the server's log says of it."""

    alert: str
    """Name of the alert as openssl, curl and Python spell it."""
    node_code: str
    """End of Node's code for it."""
    reasons: tuple[str, ...]
    """Words that the log has for it; which ones, depends on what the caller sends along."""


def assert_refused(guarded: Guarded, files: Files, refusal: Refusal) -> None:
    """Each kind of caller sees the alert and leaves one line in the log; the application hears of none."""
    handled, failed = guarded.handled(), len(guarded.failures())

    errors = {caller: call(guarded.target, files).error for caller, call in CALLERS.items()}

    assert errors.pop("node").endswith(refusal.node_code)
    assert all(refusal.alert in error for error in errors.values()), errors
    lines = new_failures(guarded, failed, expected=len(CALLERS))
    assert {line["reason"] for line in lines} <= {*refusal.reasons}
    assert all(line["peer"] for line in lines)
    assert {line.get("presented", {}).get("serial") for line in lines} == {serial_of(files)}
    assert guarded.handled() == handled + 1


def new_failures(guarded: Guarded, before: int, *, expected: int) -> list[Object]:
    def look() -> list[Object] | None:
        lines = guarded.failures()[before:]
        return lines if len(lines) >= expected else None

    lines = until("the failures are logged", look, seconds=5)
    assert len(lines) == expected
    return lines


def serial_of(files: Files) -> str | None:
    if files.certificate is None:
        return None
    return clients.certificate_says(files.certificate, "-serial").removeprefix("serial=").lower().lstrip("0")


def test_without_a_certificate(guarded: Guarded) -> None:
    refusal = Refusal(
        "tlsv13 alert certificate required",
        "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
        ("client sent no certificate",),
    )
    assert_refused(guarded, guarded.caller.without_certificate(), refusal)


UNKNOWN_CA = Refusal(
    "tlsv1 alert unknown ca",
    "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
    ("unable to get local issuer certificate", "self-signed certificate in certificate chain"),
)


def test_with_a_certificate_of_another_authority(guarded: Guarded) -> None:
    stranger = pki.client(pki.authority(), uri=guarded.uri)
    assert_refused(guarded, guarded.files(stranger), UNKNOWN_CA)


def test_with_a_certificate_of_an_authority_that_only_has_the_same_name(guarded: Guarded) -> None:
    (name,) = guarded.authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    impostor = pki.authority(str(name.value))
    assert_refused(guarded, guarded.files(pki.client(impostor, uri=guarded.uri)), UNKNOWN_CA)


def test_with_the_certificate_of_the_server_itself(guarded: Guarded) -> None:
    stolen = guarded.namespace.reader.data(guarded.namespace.name, f"{NAME}-server")
    files = Files.of(
        stolen | {"ca.crt": guarded.caller.anchors.read_bytes()}, guarded.namespace.folder / "stolen"
    )
    assert_refused(guarded, files, UNKNOWN_CA)


def test_with_a_certificate_that_has_expired(guarded: Guarded) -> None:
    ended = pki.NOW - timedelta(hours=1)
    expired = pki.client(
        guarded.authority, uri=guarded.uri, not_before=ended - timedelta(hours=1), not_after=ended
    )
    refusal = Refusal("alert certificate expired", "ALERT_CERTIFICATE_EXPIRED", ("certificate has expired",))
    assert_refused(guarded, guarded.files(expired), refusal)


def test_with_a_version_of_tls_that_is_not_served(guarded: Guarded) -> None:
    handled, failed = guarded.handled(), len(guarded.failures())

    openssl = clients.openssl(guarded.target, guarded.caller, "-tls1_2")
    curl = clients.curl(guarded.target, guarded.caller, "/", "--tls-max", "1.2")

    assert "alert protocol version" in openssl.error
    assert "alert protocol version" in curl.error
    lines = new_failures(guarded, failed, expected=2)
    assert {line["reason"] for line in lines} == {"TLS version not supported"}
    assert guarded.handled() == handled + 1
