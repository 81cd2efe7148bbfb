"""The world as one pass over one service sees it: values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from mtls_operator.api import names
from mtls_operator.api.settings import Settings
from mtls_operator.api.types import ClientNamespace, MTLSClient, MTLSService
from mtls_server.contract import State

from .plan import Problem
from .ports import DEPLOYMENT, SECRET, Object, Ref


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of one pod's view of the server Secret."""

    served: str | None = None
    """Digest of what the pod said it serves."""
    generation: int = 0
    """Number of that generation, counted by the pod."""
    version: str = ""
    """Version of the server in the pod."""
    anchors: frozenset[str] = frozenset()
    """Key ids of the authorities that the pod said it trusts."""
    error: str = ""
    """Why it could not be asked the last time, in words; empty when it answered."""
    failures: int = 0
    """How often in a row it could not be asked."""
    probed_at: datetime | None = None
    answered_at: datetime | None = None
    """When it last answered."""
    wanted: str = ""
    """Digest that the pod was last touched for."""
    touched_at: datetime | None = None
    touches: int = 0

    def answered(self, state: State, now: datetime) -> "Delivery":
        """Take in the answer of the pod."""
        return replace(
            self,
            served=state.digest,
            generation=state.generation,
            version=state.version,
            anchors=frozenset(state.anchors),
            error="",
            failures=0,
            probed_at=now,
            answered_at=now,
        )

    def failed(self, error: str, now: datetime) -> "Delivery":
        """Take in that the pod could not be asked."""
        return replace(self, error=error, failures=self.failures + 1, probed_at=now)

    def touched(self, digest: str, attempt: int, now: datetime) -> "Delivery":
        """Take in that the pod was touched."""
        return replace(self, wanted=digest, touches=attempt, touched_at=now)


class Admitted(NamedTuple):
    """An MTLSClient that the service admits, and what it grants it."""

    client: MTLSClient
    consent: ClientNamespace


@dataclass(frozen=True, slots=True)
class Admission:
    """What a service says to the MTLSClients that name it."""

    admitted: tuple[Admitted, ...] = ()
    """Oldest first."""
    problems: Mapping[Ref, Problem] = field(default_factory=dict)
    """MTLSClient to why it gets no Secret; where only the name is taken, it is admitted all the same."""
    surplus: int = 0
    """How many there are beyond a quota."""

    @property
    def total(self) -> int:
        """Count those whose namespace the service consents to."""
        return len(self.admitted) + self.surplus


class Refused(NamedTuple):
    """A write for an MTLSClient that the API server refused for good; its service does not wait for it."""

    at: datetime
    problem: Problem


@dataclass(frozen=True, slots=True)
class Rolled:
    """What came of the last look at a workload of ``restart``."""

    at: datetime
    value: str = ""
    """What it was last rolled for."""
    problem: str = ""
    """Why it could not be rolled, in words; empty when it was."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a decision about one service depends on."""

    service: MTLSService
    settings: Settings
    now: datetime
    authority: Object | None
    secrets: Mapping[Ref, Object] = field(default_factory=dict)
    """Secrets that belong to the service or its callers, or have a name that one of them needs."""
    callers: tuple[MTLSClient, ...] = ()
    """MTLSClients of all namespaces that name the service, whether it admits them or not; oldest first."""
    admission: Admission = field(default_factory=Admission)
    """What it says to them."""
    references: Mapping[Ref, Object] = field(default_factory=dict)
    """What the spec names of the user's own, as far as it carries the label that lets it be seen."""
    workload: Mapping[tuple[str, str], Object] = field(default_factory=dict)
    """(kind, name) to object in the service's namespace."""
    pods: tuple[Object, ...] = ()
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    """Pod UID to delivery."""
    rolled: Mapping[Ref, Rolled] = field(default_factory=dict)
    """Workloads of ``restart`` that were looked at."""
    taken: frozenset[Ref] = frozenset()
    """Names that a live read showed to belong to somebody else."""
    refused: Mapping[Ref, Refused] = field(default_factory=dict)
    """Secret of an MTLSClient to why it could not be written a moment ago."""
    live: frozenset[Ref] = frozenset()
    """What was read live in this pass: of these, nothing is hearsay."""
    unchanged: Mapping[Ref, str] = field(default_factory=dict)
    """Object to the resourceVersion at which applying what is wanted changed nothing."""

    @property
    def paused(self) -> bool:
        """Whether a person has stopped all writes but those of status and Events."""
        return self.service.metadata.annotations.get(names.ANNOTATION_PAUSED) == "true"

    def secret(self, name: str) -> Object | None:
        """Return the Secret of this name in the service's namespace."""
        return self.secrets.get(Ref(SECRET, self.service.metadata.namespace, name))

    @property
    def deployment(self) -> Object | None:
        """Return the Deployment of the server."""
        return self.workload.get((DEPLOYMENT.kind, self.service.metadata.name))
