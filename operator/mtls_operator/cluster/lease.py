"""Leadership: one process acts, the others stand by; and which other installations still live.

Nobody's wall clock is compared with anybody else's. A standby takes over when it has seen the Lease
unchanged for its whole duration on its own clock; the leader counts its time from before it sent the
renewal, and stops acting well before that.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final

from mtls_operator.reconcile.ports import (
    AlreadyExistsError,
    Cluster,
    ClusterError,
    ConflictError,
    Object,
    Ref,
    Resource,
    UnavailableError,
)

LEASE: Final = Resource("coordination.k8s.io/v1", "Lease", "leases")
_log = logging.getLogger(__name__)


def uptime() -> float:
    """Return seconds on a clock that is never set and, unlike `time.monotonic`, counts suspension."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    duration: int = 15
    """How long a Lease must stay unchanged before somebody else takes it."""
    trust: float = 10.0
    """How long after a renewal was sent its sender acts on it; less than ``duration``."""
    renewal: float = 5.0
    """From one renewal to the next."""
    retry: float = 2.0
    """From one look to the next for a standby, or after a failure."""


@dataclass(frozen=True)
class Observation:
    """The spec of a Lease as last seen, and how long it has been that."""

    spec: Object
    at: float
    quiet: float = 0.0

    def then(self, lease: Object, now: float, longest: float = float("inf")) -> "Observation":
        """Return what is known after another look.

        No pause between two looks counts for more than ``longest`` seconds: whoever was suspended, or
        whose clock jumped, watches on before it believes in anybody's silence.
        """
        spec = _spec(lease)
        quiet = self.quiet + min(now - self.at, longest) if spec == self.spec else 0.0
        return Observation(spec, now, quiet)


def _spec(lease: Object) -> Object:
    return lease.get("spec") or {}


@dataclass
class Elector:
    """Holds, or waits for, the Lease named by ``ref``."""

    cluster: Cluster
    """Unguarded, since the guard is what this provides."""
    ref: Ref
    identity: str
    """Of this process and no other, ever."""
    random: Random
    """Spreads the renewals of many processes."""
    timing: Timing = Timing()
    """The same for every contender."""
    clock: Callable[[], float] = uptime
    """Seconds on a clock that only moves forward."""
    _deadline: float = field(default=float("-inf"), init=False)
    _held: Object | None = field(default=None, init=False)
    _observed: Observation | None = field(default=None, init=False)

    @property
    def leads(self) -> bool:
        """Say whether this process may act now."""
        return self.clock() < self._deadline

    def guard(self) -> None:
        """Let a write pass, or raise UnavailableError."""
        if not self.leads:
            raise UnavailableError("not the leader")

    async def run(self, stop: asyncio.Event, on_lead: Callable[[], None]) -> None:
        """Contend until ``stop``, then let go of the Lease.

        Args:
            stop: ends it.
            on_lead: called each time this process begins to lead.
        """
        led = False
        try:
            while not stop.is_set():
                certain = await self._step()
                if self.leads and not led:
                    _log.info("%s leads", self.identity)
                    on_lead()
                elif led and not self.leads:
                    _log.warning("%s leads no longer", self.identity)
                led = self.leads
                pause = self.timing.renewal if led and certain else self.timing.retry
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause * self.random.uniform(0.8, 1.0)):
                        await stop.wait()
        finally:
            await self._release()

    async def _step(self) -> bool:
        """Renew or contend once; False when the outcome is not known."""
        begun = self.clock()
        try:
            async with asyncio.timeout(self.timing.trust / 2):
                if await self._acquire():
                    self._deadline = begun + self.timing.trust
        except (AlreadyExistsError, ConflictError):
            self._held = None
            return False
        except (ClusterError, TimeoutError) as trouble:
            _log.debug("Lease %s: %s", self.ref.name, trouble)
            return False
        return True

    async def _acquire(self) -> bool:
        lease = self._held or await self.cluster.get(self.ref)
        if lease is None:
            self._held = await self.cluster.create(self.ref.resource, self._first())
        elif self._free(lease):
            renewed = {**lease, "spec": self._renewed(_spec(lease))}
            self._held = await self.cluster.replace(self.ref.resource, renewed)
        else:
            self._deadline = float("-inf")
            return False
        return True

    def _free(self, lease: Object) -> bool:
        holder = _spec(lease).get("holderIdentity")
        if not holder or holder == self.identity:
            return True
        now = self.clock()
        earlier = self._observed or Observation(_spec(lease), now)
        self._observed = earlier.then(lease, now, 2 * self.timing.retry)
        patience: float = max(self.timing.duration, _spec(lease).get("leaseDurationSeconds", 0))
        return self._observed.quiet >= patience

    def _first(self) -> Object:
        return {
            "apiVersion": self.ref.resource.api_version,
            "kind": self.ref.resource.kind,
            "metadata": {"name": self.ref.name, "namespace": self.ref.namespace},
            "spec": self._renewed({}),
        }

    def _renewed(self, spec: Object) -> Object:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        renewed = {"leaseDurationSeconds": self.timing.duration, "renewTime": now}
        if spec.get("holderIdentity") == self.identity:
            return {**spec, **renewed}
        transitions = spec.get("leaseTransitions", -1) + 1
        taken = {"holderIdentity": self.identity, "acquireTime": now, "leaseTransitions": transitions}
        return {**spec, **renewed, **taken}

    async def _release(self) -> None:
        self._deadline = float("-inf")
        if self._held is None:
            return
        free = {**self._held, "spec": {**self._held["spec"], "holderIdentity": ""}}
        with contextlib.suppress(ClusterError, TimeoutError):
            async with asyncio.timeout(self.timing.renewal):
                await self.cluster.replace(self.ref.resource, free)
        self._held = None


_IDENTITY: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,62})/([a-z0-9][a-z0-9.-]{0,252})")
_PATIENCE: Final = 600.0
_FRESH: Final = 30.0


class Installations:
    """Other installations of this operator, by their Leases."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = uptime) -> None:
        self._cluster = cluster
        self._clock = clock
        self._observed: dict[str, Observation] = {}

    async def alive(self, identity: str) -> bool:
        """Say whether ``<namespace>/<instance>`` may still be at work.

        It is, unless its Lease does not exist or was seen unchanged for ten minutes. What cannot be
        known counts as alive.
        """
        parts = _IDENTITY.fullmatch(identity)
        if parts is None:
            return False
        earlier = self._observed.get(identity)
        if earlier is not None and self._clock() - earlier.at < _FRESH:
            return earlier.quiet < _PATIENCE
        try:
            lease = await self._cluster.get(Ref(LEASE, parts[1], parts[2]))
        except ClusterError:
            return True
        if lease is None:
            self._observed.pop(identity, None)
            return False
        now = self._clock()
        observed = (earlier or Observation(_spec(lease), now)).then(lease, now)
        self._observed[identity] = observed
        return observed.quiet < _PATIENCE
