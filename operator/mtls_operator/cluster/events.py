"""Events: what people read in ``kubectl describe``, written seldom and never in the way."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from mtls_operator.reconcile.ports import Cluster, Object

_INTERVAL: Final = 300.0
_MOST_WAITING: Final = 1000
_LONGEST_MESSAGE: Final = 1024
_COMPONENT: Final = "mtls-operator"
_log = logging.getLogger(__name__)


@dataclass
class _Known:
    posted: float
    unposted: int = 0


class EventRecorder:
    """Posts each distinct Event once, and counts its repetitions at most every five minutes.

    Args:
        cluster: where they go; failures are dropped.
        reporter: the process that reports.
        clock: seconds on a clock that only moves forward.
    """

    def __init__(self, cluster: Cluster, reporter: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._reporter = reporter
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(_MOST_WAITING)

    def record(
        self, regarding: Object, severity: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Say of an object what happened; returns at once.

        Args:
            regarding: the object, with its uid.
            severity: the Event's ``type``.
            reason: CamelCase.
            message: a sentence; one that carries PEM is withheld.
        """
        if "-----BEGIN" in message:
            message = "(withheld: it carried key or certificate material)"
        body = self._event(regarding, severity, reason, message[:_LONGEST_MESSAGE])
        name, now = body["metadata"]["name"], self._clock()
        known = self._known.get(name)
        if known is not None and now - known.posted < _INTERVAL:
            known.unposted += 1
            return
        if self._waiting.full():
            return
        body["count"] += known.unposted if known else 0
        self._forget_old(now)
        self._known[name] = _Known(now)
        self._waiting.put_nowait(body)

    async def run(self) -> None:
        """Post what was recorded, until cancelled."""
        while True:
            body = await self._waiting.get()
            try:
                await self._cluster.post_event(body)
            except Exception as trouble:  # noqa: BLE001 - no Event is worth the operator's life
                self._known.pop(body["metadata"]["name"], None)
                _log.debug("Event dropped: %s", trouble)

    def _forget_old(self, now: float) -> None:
        if len(self._known) >= _MOST_WAITING:
            self._known = {
                name: known for name, known in self._known.items() if now - known.posted < _INTERVAL
            }

    def _event(self, regarding: Object, severity: str, reason: str, message: str) -> Object:
        metadata = regarding["metadata"]
        identity = "\0".join((metadata["uid"], severity, reason, message))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": severity,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._reporter,
        }
