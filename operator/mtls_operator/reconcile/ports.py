"""What the core needs of the world; `mtls_operator.cluster` provides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from mtls_operator.api import names
from mtls_server.contract import State

Object = dict[str, Any]
"""An object of the Kubernetes API as JSON."""


class Resource(NamedTuple):
    """A kind of object and where the API server serves it."""

    api_version: str
    kind: str
    plural: str


MTLSSERVICE: Final = Resource(names.API_VERSION, names.KIND, names.PLURAL)
MTLSCLIENT: Final = Resource(names.API_VERSION, names.CLIENT_KIND, names.CLIENT_PLURAL)
SECRET: Final = Resource("v1", "Secret", "secrets")
CONFIG_MAP: Final = Resource("v1", "ConfigMap", "configmaps")
SERVICE: Final = Resource("v1", "Service", "services")
SERVICE_ACCOUNT: Final = Resource("v1", "ServiceAccount", "serviceaccounts")
POD: Final = Resource("v1", "Pod", "pods")
DEPLOYMENT: Final = Resource("apps/v1", "Deployment", "deployments")
STATEFUL_SET: Final = Resource("apps/v1", "StatefulSet", "statefulsets")
DAEMON_SET: Final = Resource("apps/v1", "DaemonSet", "daemonsets")
DISRUPTION_BUDGET: Final = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY: Final = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
EVENT: Final = Resource("v1", "Event", "events")

WORKLOAD: Final = (SERVICE_ACCOUNT, SERVICE, DISRUPTION_BUDGET, NETWORK_POLICY, DEPLOYMENT)
"""The kinds, beside Secrets, that a service is made of; in order of application."""

CREATE_ONLY: Final = "1"
"""resourceVersion with which a server-side apply creates, or answers 409 where the object exists."""


class Ref(NamedTuple):
    """One object by name."""

    resource: Resource
    namespace: str
    name: str


def ref_of(resource: Resource, observed: Object) -> Ref:
    """Return the name under which the API server knows the object."""
    metadata = observed["metadata"]
    return Ref(resource, metadata["namespace"], metadata["name"])


class Key(NamedTuple):
    """One MTLSService, whether it exists or is only named by an MTLSClient: the unit of reconciliation."""

    namespace: str
    name: str


class ClusterError(Exception):
    """The API server did not do what was asked; the message says why, without any object's contents."""


class AlreadyExistsError(ClusterError):
    """A create-only write found an object of that name."""


class ConflictError(ClusterError):
    """The object changed since it was observed, or is gone."""


class RefusedError(ClusterError):
    """The write can not succeed as it is: invalid, forbidden or denied by admission (400, 403, 422)."""


@dataclass
class UnavailableError(ClusterError):
    """Nothing is known about the outcome (network, 429, 5xx, an odd answer); try again later."""

    reason: str
    retry_after: float | None = None
    """Seconds the API server asked to wait."""

    def __str__(self) -> str:
        return self.reason


class Cluster(Protocol):
    """Reads and writes of the API server. Each method raises a ClusterError when it does not succeed."""

    async def get(self, ref: Ref) -> Object | None:
        """Read live. None only for a 404 whose Status names the object; any other 404 is Unavailable."""

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str = "",
        *,
        metadata_only: bool = False,
    ) -> Sequence[Object]:
        """Read live and consistently (no resourceVersion), in chunks; None is every namespace."""

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create only."""

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Update (PUT); the body carries the observed resourceVersion."""

    async def apply(self, resource: Resource, body: Object) -> Object:
        """Apply server-side, forced; the body carries the observed resourceVersion, or "1" to create only."""

    async def apply_status(self, resource: Resource, body: Object) -> Object:
        """Apply server-side, forced, to the status subresource."""

    async def annotate(self, ref: Ref, uid: str, annotations: Mapping[str, str | None]) -> Object:
        """Merge-patch annotations, with the UID as precondition; None removes one."""

    async def annotate_template(self, ref: Ref, uid: str, annotations: Mapping[str, str]) -> None:
        """Merge-patch annotations of a workload's pod template, with the UID as precondition."""

    async def delete(self, ref: Ref, uid: str, resource_version: str) -> None:
        """Delete with both preconditions; an object already gone is no error."""

    async def post_event(self, body: Object) -> None:
        """Create the core/v1 Event, or update it where it exists (same name)."""


class Pods(Protocol):
    """What server pods answer on their admin port."""

    async def state(self, address: str) -> State:
        """GET /state of the pod at this IP. Raises UnavailableError with the reason in words."""
