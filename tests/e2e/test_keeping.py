"""What is kept: Secrets of a deleted service, a paused one as it is, callers while an authority is lost."""

import time
from dataclasses import replace
from functools import partial

import pytest
from cryptography import x509

from tests.cluster.layout import Cluster
from tests.e2e import clients
from tests.e2e.audit import Audit
from tests.e2e.clients import Files, Target
from tests.e2e.installation import Operator
from tests.e2e.load import Load, SecretFollower
from tests.e2e.manifests import SHORT_LIVED, mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import DEPLOYMENT, SECRET, Object
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "orders"
BILLING = {"name": "billing"}
SERVER, CLIENT = f"{NAME}-server", f"{NAME}-client-billing"
UNKNOWN_CA = "tlsv1 alert unknown ca"
LEAF, PROPAGATION = "120s", "20s"
LAG = 10.0
"""Seconds after which a caller uses what its Secret says."""


def orders(namespace: Namespace, **spec: object) -> Object:
    return mtls_service(NAME, namespace.name, **{"replicas": 1, "clients": [BILLING], **spec})


def test_retained_secrets_outlive_their_service_and_are_renewed_whole_for_the_next(
    namespace: Namespace,
) -> None:
    former = namespace.apply_ready(orders(namespace, deletionPolicy="Retain"))
    secrets = {name: namespace.reader.get(SECRET, namespace.name, name) for name in (SERVER, CLIENT)}
    billing = namespace.files(CLIENT)

    namespace.delete("mtls", NAME)
    until(
        "its servers are gone",
        lambda: not namespace.reader.find(DEPLOYMENT, namespace.name, NAME),
        seconds=30,
    )
    assert {name: namespace.reader.get(SECRET, namespace.name, name) for name in secrets} == secrets

    service = namespace.apply_ready(orders(namespace, deletionPolicy="Retain"))
    assert service["status"]["authorities"] != former["status"]["authorities"]
    for name, secret in secrets.items():
        now = namespace.reader.get(SECRET, namespace.name, name)
        assert now["metadata"]["uid"] == secret["metadata"]["uid"]
        for file in ("tls.crt", "tls.key", "ca.crt"):
            assert now["data"][file] != secret["data"][file]
    assert_knows_only_the_new(namespace, billing)


def test_a_paused_service_is_left_as_it_is_until_it_goes_on(
    namespace: Namespace, operator: Operator, cluster: Cluster
) -> None:
    namespace.apply_ready(orders(namespace))
    former = namespace.status(NAME)["serverCertificate"]["serial"]
    namespace.annotate(NAME, "paused=true")
    until("it says so", lambda: reconciling(namespace) == "Paused", seconds=10)

    audit = Audit(cluster.audit_log)

    def written() -> set[str]:
        return {write.resource for write in audit.writes(operator.account, namespace.name)}

    namespace.kubectl.apply(orders(namespace, replicas=2, clients=[BILLING, {"name": "late"}]))
    namespace.annotate(NAME, "reissue=while-paused")
    namespace.annotate(NAME, "rotate-authority=while-paused")
    namespace.delete("secret", CLIENT)
    time.sleep(5)
    assert written() <= {"mtlsservices/status", "events"}

    namespace.annotate(NAME, "paused-")
    until("it goes on", lambda: reconciling(namespace) not in {"", "Paused"}, seconds=10)
    status = namespace.ready(NAME, seconds=60)["status"]
    assert written() >= {"secrets", "deployments"}
    assert (status["clientsReady"], status["replicas"]) == (2, 2)
    assert status["serverCertificate"]["serial"] != former
    assert namespace.reader.condition(namespace.name, NAME, "AuthorityRotating")["status"] == "True"


def test_distrust_ends_all_that_was_issued_at_once(namespace: Namespace) -> None:
    former = namespace.apply_ready(orders(namespace))["status"]["authorities"]
    billing = namespace.files(CLIENT)
    namespace.annotate(NAME, "rotate-authority=distrust/stolen")
    until("others sign", lambda: namespace.status(NAME)["authorities"] != former, seconds=10)
    assert_knows_only_the_new(namespace, billing)
    authorities = namespace.status(NAME)["authorities"]
    for role in ("server", "client"):
        assert authorities[role]["fingerprint"] != former[role]["fingerprint"]
        assert former[role]["fingerprint"] not in authorities[role].get("anchors", [])


def test_callers_go_on_while_a_lost_authority_is_replaced(
    namespace: Namespace, operator: Operator, cluster: Cluster
) -> None:
    spec = {
        "certificates": {"duration": LEAF},
        "clients": [{**BILLING, "duration": LEAF}],
        "authority": {"propagation": PROPAGATION},
    }
    service = namespace.apply_ready(
        mtls_service(NAME, namespace.name, SHORT_LIVED, replicas=2, **spec), seconds=60
    )
    former = issuers(namespace)
    folder = namespace.folder / "followed"
    with (
        SecretFollower(cluster.kubeconfig, namespace.name, CLIENT, folder / CLIENT, lag=LAG) as billing,
        SecretFollower(cluster.kubeconfig, namespace.name, SERVER, folder / SERVER) as server,
        Load(
            kept=namespace.target(NAME),
            fresh=namespace.pod_targets(NAME),
            steady=lambda: billing.context,
            brief=lambda: billing.context,
            kept_connections=10,
            fresh_per_second=10,
            kept_for=5,
        ) as load,
    ):
        operator.kubectl("delete", "secret", operator.authority(service), f"--namespace={operator.namespace}")
        until("another has signed each leaf", lambda: not issuers(namespace) & former, seconds=120)
        newest = list(server.serials)[-1]
        until("the newest is in use", lambda: newest in {each.serial for each in load.met}, seconds=10)
        time.sleep(LAG + 2)
    assert load.failures == []
    namespace.ready(NAME)


def assert_knows_only_the_new(namespace: Namespace, former: Files) -> None:
    """The newest certificate of the client is served, a former one refused, whatever it trusts itself."""
    for pod in namespace.pod_targets(NAME):
        until("the new one works", partial(serves_its_newest, namespace, pod), seconds=10)
        outcome = clients.python(pod, replace(former, anchors=namespace.files(CLIENT).anchors))
        assert UNKNOWN_CA in outcome.error, outcome


def serves_its_newest(namespace: Namespace, pod: Target) -> bool:
    return clients.python(pod, namespace.files(CLIENT)).status == 200


def issuers(namespace: Namespace) -> set[str]:
    """Return who signed the certificates of server and client."""
    certificates = (namespace.reader.data(namespace.name, secret)["tls.crt"] for secret in (SERVER, CLIENT))
    return {x509.load_pem_x509_certificate(each).issuer.rfc4514_string() for each in certificates}


def reconciling(namespace: Namespace) -> str:
    return str(namespace.reader.condition(namespace.name, NAME, "Reconciling").get("reason", ""))
