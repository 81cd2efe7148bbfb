"""What is deleted or altered by hand is mended at once; the servers never notice."""

import base64
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.e2e.figures import Figures
from tests.e2e.installation import Operator
from tests.e2e.load import Load
from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import DEPLOYMENT, SECRET, SERVICE, Kind, Object
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

NAME = "robust"
SERVER_SECRET = f"{NAME}-server"
CLIENT_SECRET = f"{NAME}-client-billing"
HEALED_WITHIN = 5.0
USE = "mtls-operator.io/use"


@dataclass(frozen=True)
class Damage:
    """What somebody does to a Secret by hand, and the reason that the operator gives for mending it."""

    name: str
    do: Callable[[Namespace, str], None]
    reason: str

    def __str__(self) -> str:
        return self.name


def delete(namespace: Namespace, secret: str) -> None:
    namespace.kubectl("delete", "secret", secret, f"--namespace={namespace.name}")


def overwrite(namespace: Namespace, secret: str, *, key: str, contents: bytes) -> None:
    patch = {"data": {key: base64.b64encode(contents).decode()}}
    namespace.kubectl(
        "patch", "secret", secret, f"--namespace={namespace.name}", f"--patch={json.dumps(patch)}"
    )


def strip_label(namespace: Namespace, secret: str) -> None:
    namespace.kubectl("label", "secret", secret, f"--namespace={namespace.name}", f"{USE}-")


garble_key = partial(overwrite, key="tls.key", contents=b"garbled")
empty_anchors = partial(overwrite, key="ca.crt", contents=b"")

DAMAGES = [
    Damage("deleted", delete, "Missing"),
    Damage("tls.key garbled", garble_key, "Malformed"),
    Damage("ca.crt emptied", empty_anchors, "ContentsChanged"),
    Damage("our label stripped", strip_label, "ContentsChanged"),
]


@pytest.fixture(scope="module")
def robust(shared_namespace: Namespace) -> Object:
    return shared_namespace.apply_ready(
        mtls_service(NAME, shared_namespace.name, replicas=2, clients=[{"name": "billing"}])
    )


@pytest.fixture
def callers(shared_namespace: Namespace, robust: Object) -> Load:  # noqa: ARG001 - called, once it is there
    """Callers of every pod, who keep connections alive and make fresh ones."""
    context: ssl.SSLContext = shared_namespace.files(CLIENT_SECRET).context()
    return Load(
        kept=shared_namespace.target(NAME),
        fresh=shared_namespace.pod_targets(NAME),
        steady=lambda: context,
        brief=lambda: context,
        kept_connections=4,
        fresh_per_second=20,
    )


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
@pytest.mark.parametrize("secret", [SERVER_SECRET, CLIENT_SECRET])
def test_a_damaged_secret_is_healed_with_a_reason_while_the_servers_serve(
    shared_namespace: Namespace, callers: Load, secret: str, damage: Damage, figures: Figures
) -> None:
    namespace = shared_namespace
    before = namespace.reader.get(SECRET, namespace.name, secret)
    events = occurrences(namespace, damage.reason, secret)

    with callers:
        began = time.monotonic()
        damage.do(namespace, secret)
        until("it is healed", lambda: is_healed(namespace, secret, before), seconds=HEALED_WITHIN)
        figures.record_worst(
            "A damaged Secret until it is healed, worst", time.monotonic() - began, "s", HEALED_WITHIN
        )
        reason_is_told = partial(status_says, namespace, secret, damage.reason)
        until("status gives the reason", reason_is_told, seconds=HEALED_WITHIN)
        until("an Event does", lambda: occurrences(namespace, damage.reason, secret) > events, seconds=5)
        until("every pod serves the Secret", lambda: is_served(namespace, callers), seconds=HEALED_WITHIN)

    assert callers.failures == []
    assert callers.requests


def is_served(namespace: Namespace, callers: Load) -> bool:
    """Say whether the newest connection to each pod met the certificate of the server's Secret."""
    certificate = namespace.reader.data(namespace.name, SERVER_SECRET)["tls.crt"]
    serial = x509.load_pem_x509_certificate(certificate).serial_number
    newest = {each.pod: each.serial for each in list(callers.met)}
    return newest == {pod.address: serial for pod in callers.fresh}


def is_healed(namespace: Namespace, secret: str, before: Object) -> bool:
    """Say whether it is whole: what was right is there again, and the key is that of the certificate."""
    observed = namespace.reader.find(SECRET, namespace.name, secret)
    if observed is None or observed["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
        return False
    intact = all(
        observed["data"].get(key) == before["data"][key] for key in before["data"] if key[:3] != "tls"
    )
    labelled = observed["metadata"].get("labels") == before["metadata"]["labels"]
    return intact and labelled and key_matches(namespace.reader.data(namespace.name, secret))


def key_matches(data: dict[str, bytes]) -> bool:
    try:
        key = load_pem_private_key(data["tls.key"], password=None)
    except ValueError:
        return False
    return key.public_key() == x509.load_pem_x509_certificate(data["tls.crt"]).public_key()


def status_says(namespace: Namespace, secret: str, reason: str) -> bool:
    status = namespace.status(NAME)
    if secret == SERVER_SECRET:
        return str(status["serverCertificate"]["lastReason"]).startswith(reason)
    return bool(status["clients"][0]["reason"] == reason)


def occurrences(namespace: Namespace, reason: str, secret: str) -> int:
    """Count Events with this reason that name the Secret."""
    events = namespace.reader.events(namespace.name, NAME)
    return sum(
        event.get("count") or 1
        for event in events
        if event["reason"] == reason and secret in event["message"]
    )


def test_a_pod_that_is_given_a_garbled_key_serves_what_it_served_before(
    shared_namespace: Namespace, callers: Load, operator: Operator
) -> None:
    namespace = shared_namespace
    before = namespace.reader.get(SECRET, namespace.name, SERVER_SECRET)
    operator.stop()
    try:
        with callers:
            garble_key(namespace, SERVER_SECRET)
            for pod in namespace.reader.pods(namespace.name, NAME):
                name = pod["metadata"]["name"]
                namespace.kubectl("annotate", "pod", name, f"--namespace={namespace.name}", "touched=now")
                until(f"{name} was given it", partial(refused_delivery, namespace, name), seconds=30)
            operator.start()
            until("it is healed", lambda: is_healed(namespace, SERVER_SECRET, before), seconds=30)
            namespace.ready(NAME)
    finally:
        operator.start()
    assert callers.failures == []


def refused_delivery(namespace: Namespace, pod: str) -> bool:
    return any(json.loads(line).get("event") == "delivery_refused" for line in namespace.log(pod))


@pytest.mark.parametrize("labels", ["ours", "all"])
def test_an_authority_whose_labels_were_stripped_keeps_its_keys(
    robust: Object, operator: Operator, labels: str
) -> None:
    secret = operator.authority(robust)
    before = operator.reader.get(SECRET, operator.namespace, secret)
    stripped = [USE] if labels == "ours" else list(before["metadata"]["labels"])

    where = f"--namespace={operator.namespace}"
    operator.kubectl("label", "secret", secret, where, *(f"{label}-" for label in stripped))

    def labelled_again() -> Object | None:
        observed = operator.reader.get(SECRET, operator.namespace, secret)
        return observed if observed["metadata"].get("labels") == before["metadata"]["labels"] else None

    healed = until("the labels are back", labelled_again, seconds=HEALED_WITHIN)
    assert healed["data"] == before["data"]
    assert healed["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.parametrize("kind", [SERVICE, DEPLOYMENT], ids=str)
def test_a_deleted_object_is_made_again(shared_namespace: Namespace, robust: Object, kind: Kind) -> None:
    namespace = shared_namespace
    uid = namespace.reader.get(kind, namespace.name, NAME)["metadata"]["uid"]

    namespace.kubectl("delete", kind.name.lower(), NAME, f"--namespace={namespace.name}")

    def made_again() -> bool:
        observed = namespace.reader.find(kind, namespace.name, NAME)
        return bool(observed and observed["metadata"]["uid"] != uid)

    until("it is made again", made_again, seconds=HEALED_WITHIN)
    owners = namespace.reader.get(kind, namespace.name, NAME)["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == [robust["metadata"]["uid"]]


def test_an_altered_deployment_is_set_right(shared_namespace: Namespace, robust: Object) -> None:  # noqa: ARG001
    namespace = shared_namespace
    namespace.kubectl("scale", "deployment", NAME, f"--namespace={namespace.name}", "--replicas=5")

    def replicas() -> bool:
        return bool(namespace.reader.get(DEPLOYMENT, namespace.name, NAME)["spec"]["replicas"] == 2)

    until("it has its replicas again", replicas, seconds=HEALED_WITHIN)
