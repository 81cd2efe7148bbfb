"""What a pass decided to do: values that `act` carries out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Self

from mtls_operator.api.types import MTLSClient

from .ports import Object, Ref, Resource


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event about the service, or about an MTLSClient."""

    severity: Literal["Normal", "Warning"]
    reason: str
    message: str
    caller: Ref | None = None
    """The MTLSClient that it is about; None: the service."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create only: an object of that name, whoever made it, is never overwritten."""

    resource: Resource
    body: Object
    notice: Notice | None = None
    """What to tell once it is done."""
    caller: MTLSClient | None = None
    """Whose it is; None: the service's."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Update; the body carries the resourceVersion that was observed."""

    resource: Resource
    body: Object
    notice: Notice | None = None
    """What to tell once it is done."""
    caller: MTLSClient | None = None
    """Whose it is; None: the service's."""
    records: bool = False
    """Whether it only notes what was done, so that no certificate is issued by it."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply server-side; resourceVersion as observed, or "1" to create only."""

    resource: Resource
    body: Object


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete exactly the object that was observed."""

    ref: Ref
    uid: str
    resource_version: str
    caller: MTLSClient | None = None
    """Whose it is; None: the service's."""


Write = Create | Replace | Apply | Delete


@dataclass(frozen=True, slots=True)
class Touch:
    """Annotate a pod so that kubelet syncs its volumes now."""

    ref: Ref
    uid: str
    digest: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask a pod which generation it serves."""

    uid: str
    address: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Roll a workload of the user's, unless it has been rolled for this already."""

    ref: Ref
    value: str
    """What it is rolled for."""
    causes: tuple[str, ...]
    """Names of the Secrets that have changed."""
    caller: Ref | None = None
    """The MTLSClient that names it; None: the service does."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps the service from what its spec asks for."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The next steps; plans of different rooms are added up."""

    writes: tuple[Write, ...] = ()
    touches: tuple[Touch, ...] = ()
    probes: tuple[Probe, ...] = ()
    restarts: tuple[Restart, ...] = ()
    problems: tuple[Problem, ...] = ()
    wake: datetime | None = None
    """When to look again, if nothing happens before."""
    more: bool = False
    """Whether some of the work is left for the next pass, which comes after those of other services."""

    def __add__(self, other: Self) -> "Plan":
        wakes = [wake for wake in (self.wake, other.wake) if wake is not None]
        return Plan(
            writes=self.writes + other.writes,
            touches=self.touches + other.touches,
            probes=self.probes + other.probes,
            restarts=self.restarts + other.restarts,
            problems=self.problems + other.problems,
            wake=min(wakes, default=None),
            more=self.more or other.more,
        )

    @property
    def acts(self) -> bool:
        """Whether carrying it out changes what the next pass sees."""
        return bool(self.writes or self.touches or self.probes or self.restarts)


NAME_TAKEN = "NameTaken"
RETRY_TAKEN = timedelta(seconds=10)
"""Foreign objects are not watched, so a name that was taken is looked at again this often."""
STATUS_INTERVAL = timedelta(seconds=1)
"""The status of an object is written at most this often."""
RETRY_REFUSED = timedelta(seconds=15)
"""A write that the API server refused is tried again this often."""


def name_taken(ref: Ref, now: datetime) -> Plan:
    """Keep hands off an object that is not ours, and say so."""
    problem = Problem(
        NAME_TAKEN,
        f"{ref.resource.kind} {ref.name} exists and is not ours: rename or delete it, or this MTLSService",
    )
    return Plan(problems=(problem,), wake=now + RETRY_TAKEN)
