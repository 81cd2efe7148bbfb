"""What is in the cluster, read by a client that shares no code with the operator's."""

import base64
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from pykube.config import KubeConfig
from pykube.exceptions import HTTPError
from pykube.http import HTTPClient
from pykube.objects import NamespacedAPIObject
from pykube.query import Query, all_

Object = dict[str, Any]


class Kind(NamedTuple):
    """A kind of namespaced objects."""

    name: str
    plural: str
    version: str = "v1"

    def __str__(self) -> str:
        return self.name


MTLS_SERVICE = Kind("MTLSService", "mtlsservices", "mtls-operator.io/v1alpha1")
MTLS_CLIENT = Kind("MTLSClient", "mtlsclients", "mtls-operator.io/v1alpha1")
SECRET = Kind("Secret", "secrets")
POD = Kind("Pod", "pods")
EVENT = Kind("Event", "events")
LEASE = Kind("Lease", "leases", "coordination.k8s.io/v1")
SERVICE = Kind("Service", "services")
DEPLOYMENT = Kind("Deployment", "deployments", "apps/v1")
WORKLOAD = (
    DEPLOYMENT,
    SERVICE,
    Kind("ServiceAccount", "serviceaccounts"),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy/v1"),
    Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io/v1"),
)


class Reader:
    """Reads live objects; one for each thread."""

    def __init__(self, kubeconfig: Path, *, timeout: float = 30) -> None:
        self._api = HTTPClient(KubeConfig.from_file(str(kubeconfig)), timeout=timeout)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._api.session.close()

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        found = self._query(kind, namespace).get_or_none(name=name)
        return found.obj if found else None

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        found = self.find(kind, namespace, name)
        assert found, f"there is no {kind} {namespace}/{name}"
        return found

    def find_all(self, kind: Kind, namespace: str | None = None, **labels: str) -> list[Object]:
        return [found.obj for found in self._query(kind, namespace).filter(selector=labels or None)]

    def follow(self, kind: Kind, stop: Event, namespace: str | None = None) -> Iterator[tuple[str, Object]]:
        """Yield each change with its type, beginning with what is there, through every interruption."""
        query = self._query(kind, namespace)
        version = None
        while not stop.is_set():
            try:
                for event in query.watch(since=version):
                    if stop.is_set() or event.type == "ERROR":
                        version = None
                        break
                    version = event.object.obj["metadata"]["resourceVersion"]
                    yield event.type, event.object.obj
            except HTTPError:  # this version is no longer kept, or the kind is not served
                version = None
                stop.wait(0.2)
            except OSError:  # nothing happened for a while, or the API server is away
                stop.wait(0.2)

    def data(self, namespace: str, secret: str) -> dict[str, bytes]:
        return decoded(self.get(SECRET, namespace, secret))

    def pods(self, namespace: str, service: str) -> list[Object]:
        """Return the running pods of a service's servers, oldest first."""
        labels = {"app.kubernetes.io/name": "mtls-server", "app.kubernetes.io/instance": service}
        found = self.find_all(POD, namespace, **labels)
        running = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
        return sorted(
            running, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])
        )

    def condition(self, namespace: str, service: str, kind: str) -> Object:
        """Return a condition of an MTLSService; an empty one when it has none of that type."""
        return condition(self.find(MTLS_SERVICE, namespace, service), kind)

    def is_ready(self, namespace: str, service: str) -> bool:
        observed = self.find(MTLS_SERVICE, namespace, service)
        if observed is None:
            return False
        ready = self.condition(namespace, service, "Ready")
        return bool(ready) and (ready["status"], ready["observedGeneration"]) == (
            "True",
            observed["metadata"]["generation"],
        )

    def events(self, namespace: str, service: str) -> list[Object]:
        found = self.find_all(EVENT, namespace)
        return [event for event in found if event["involvedObject"].get("name") == service]

    def _query(self, kind: Kind, namespace: str | None) -> Any:
        attributes = {"kind": kind.name, "endpoint": kind.plural, "version": kind.version}
        known = type(kind.name, (NamespacedAPIObject,), attributes)
        return Query(self._api, known, namespace or all_)  # type: ignore[arg-type]


def condition(observed: Object | None, kind: str) -> Object:
    """Return a condition of that type; an empty one when there is none."""
    conditions = (observed or {}).get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def decoded(secret: Object) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in secret.get("data", {}).items()}
