"""A caller in another namespace is served for as long as the service consents, and not a moment longer."""

from functools import partial

import pytest

from tests.e2e import clients
from tests.e2e.clients import Connection, Files, Target
from tests.e2e.manifests import mtls_client, mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import MTLS_CLIENT, SECRET, Object, condition
from tests.e2e.waiting import until

pytestmark = pytest.mark.e2e

SERVICE, CALLER, CALLER_SECRET = "orders", "web", "orders-tls"


@pytest.fixture
def shop(shared_namespace: Namespace) -> Namespace:
    """The namespace of a service that consents to nobody yet."""
    consent_to(shared_namespace)
    shared_namespace.ready(SERVICE)
    return shared_namespace


def test_a_caller_elsewhere_is_served_for_as_long_as_the_service_consents(
    shop: Namespace, namespace: Namespace
) -> None:
    front, pods = namespace, shop.pod_targets(SERVICE)
    assert len(pods) == 2
    front.kubectl.apply(
        caller(CALLER, front, secretName=CALLER_SECRET, of=(shop, SERVICE)),
        caller("lost", front, secretName="lost-tls", of=(shop, "nothing")),
    )
    until("neither is permitted", lambda: refusal(front, CALLER) and refusal(front, "lost"), seconds=10)
    assert refusal(front, CALLER).replace(SERVICE, "nothing") == refusal(front, "lost")
    assert front.reader.find(SECRET, front.name, CALLER_SECRET) is None

    consent_to(shop, {"namespace": front.name, "roles": ["reader"]})
    until("it is ready", lambda: ready(front, CALLER).get("status") == "True", seconds=10)
    files = front.files(CALLER_SECRET)
    for pod in pods:
        until("it is served", partial(answers, pod, files, 200), seconds=5)
        said = clients.python(pod, files).json
        assert said["spiffe_id"] == f"spiffe://cluster.local/ns/{front.name}/mtlsclient/{CALLER}"
        assert (said["client"], said["roles"]) == (f"{front.name}/{CALLER}", ["reader"])
    assert refusal(front, "lost")

    connections = [Connection(pod, files.context()) for pod in pods]
    for connection in connections:
        connection.fetch()
    consent_to(shop)
    for pod, connection in zip(pods, connections, strict=True):
        connection.wait_until_closed()
        outcome = clients.python(pod, files)
        assert (outcome.status, outcome.json["error"]["reason"]) == (403, "revoked")
    until("its Secret is gone", lambda: not front.reader.find(SECRET, front.name, CALLER_SECRET), seconds=5)
    until("it is told", lambda: refusal(front, CALLER), seconds=5)


def consent_to(shop: Namespace, *consents: Object) -> None:
    shop.kubectl.apply(mtls_service(SERVICE, shop.name, replicas=2, clientNamespaces=consents))


def caller(name: str, namespace: Namespace, *, of: tuple[Namespace, str], **spec: str) -> Object:
    shop, service = of
    return mtls_client(name, namespace.name, serviceRef={"name": service, "namespace": shop.name}, **spec)


def ready(namespace: Namespace, client: str) -> Object:
    return condition(namespace.reader.find(MTLS_CLIENT, namespace.name, client), "Ready")


def refusal(namespace: Namespace, client: str) -> str:
    """Return what a caller is told that may not call; nothing, if it may."""
    told = ready(namespace, client)
    return str(told["message"]) if told.get("reason") == "NotPermitted" else ""


def answers(pod: Target, files: Files, status: int) -> bool:
    return clients.python(pod, files).status == status
