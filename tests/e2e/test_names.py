"""A name that somebody else has taken stays theirs."""

from functools import partial

import pytest

from tests.e2e.manifests import mtls_service
from tests.e2e.namespaces import Namespace
from tests.e2e.reader import DEPLOYMENT, SECRET, SERVICE, Kind, Object
from tests.e2e.waiting import holds_for, until

pytestmark = pytest.mark.e2e

LOOKED_AT_AGAIN = 30.0
"""Foreign objects are not watched, but looked at from time to time."""


def secret(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"theirs": "x"}}


def deployment(name: str) -> Object:
    labels = {"app": "theirs"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "localhost/none"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(name: str) -> Object:
    spec = {"selector": {"app": "theirs"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


FOREIGN: dict[str, tuple[Kind, Object]] = {
    "first": (SECRET, secret("first-server")),
    "second": (SECRET, secret("second-client-billing")),
    "third": (DEPLOYMENT, deployment("third")),
    "fourth": (SERVICE, service("fourth")),
}
"""Name of an MTLSService to the object of somebody else that has a name which it needs."""


def test_foreign_objects_are_left_alone_and_the_services_say_so_until_the_names_are_free(
    namespace: Namespace,
) -> None:
    for _, foreign in FOREIGN.values():
        foreign["metadata"]["namespace"] = namespace.name
    namespace.kubectl.create(*(foreign for _, foreign in FOREIGN.values()))
    until("their own controllers are done", lambda: is_settled(namespace), seconds=20)
    before = as_they_are(namespace)

    spec = {"replicas": 1, "clients": [{"name": "billing"}]}
    namespace.kubectl.apply(*(mtls_service(name, namespace.name, **spec) for name in FOREIGN))

    for name, (_, foreign) in FOREIGN.items():
        taken = foreign["metadata"]["name"]
        until(f"{name} says NameTaken", partial(is_refused, namespace, name), seconds=10)
        assert taken in namespace.reader.condition(namespace.name, name, "Ready")["message"]
        until("an Event says so, too", partial(is_told, namespace, name, taken), seconds=5)
    holds_for("the foreign objects are as they were", lambda: as_they_are(namespace) == before, seconds=3)

    for kind, foreign in FOREIGN.values():
        name = foreign["metadata"]["name"]
        namespace.kubectl("delete", kind.name.lower(), name, f"--namespace={namespace.name}")
    for name in FOREIGN:
        namespace.ready(name, seconds=LOOKED_AT_AGAIN)


def as_they_are(namespace: Namespace) -> list[Object]:
    """Return all foreign objects, resourceVersions included."""
    return [
        namespace.reader.get(kind, namespace.name, foreign["metadata"]["name"])
        for kind, foreign in FOREIGN.values()
    ]


def is_settled(namespace: Namespace) -> bool:
    observed = namespace.reader.get(DEPLOYMENT, namespace.name, "third")
    return bool(observed.get("status", {}).get("observedGeneration") == 1)


def is_refused(namespace: Namespace, service: str) -> bool:
    ready = namespace.reader.condition(namespace.name, service, "Ready")
    return (ready.get("status"), ready.get("reason")) == ("False", "NameTaken")


def is_told(namespace: Namespace, service: str, taken: str) -> bool:
    events = namespace.reader.events(namespace.name, service)
    return any(event["reason"] == "NameTaken" and taken in event["message"] for event in events)
