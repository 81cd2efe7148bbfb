"""Write what services and MTLSClients are told, to each at most once a second."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, Protocol

from mtls_operator.api.types import Metadata

from .deadlines import within
from .decide.consent import client_ref
from .decide.service import Report
from .plan import STATUS_INTERVAL, Notice, Problem
from .ports import MTLSCLIENT, MTLSSERVICE, Cluster, ConflictError, Key, Object, Ref, RefusedError, Resource
from .status.client import Answer, answers
from .status.service import build_status, first_sight, notices
from .steps import gather
from .store import Store
from .world import World

PATIENCE = timedelta(seconds=30)
"""How long the steps of a service may fail, each tried again, before its status says so."""

logger = logging.getLogger(__name__)


class Recorder(Protocol):
    """Records Events; never blocks and never fails."""

    def record(
        self, regarding: Object, severity: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event about an object."""


class Herald:
    """Writes status and Events, and knows when each object was told something for the last time."""

    def __init__(
        self, store: Store, cluster: Cluster, recorder: Recorder, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._recorder = recorder
        self._clock = clock
        self._told: dict[Key, datetime] = {}
        self._told_clients: dict[Ref, datetime] = {}
        self._failing_since: dict[Key, datetime] = {}

    def record(self, world: World, notice: Notice) -> None:
        """Record an Event about the service, or about the MTLSClient that it concerns."""
        observed = self._store.get(notice.caller or Ref(MTLSSERVICE, *_key(world)))
        if observed is not None:
            self._recorder.record(observed, notice.severity, notice.reason, notice.message)

    async def claim(self, world: World) -> None:
        """Write the first status of a service.

        Raises:
            ConflictError: it changed since it was observed; another installation may have claimed it.
        """
        metadata = world.service.metadata
        await self._apply(
            MTLSSERVICE, metadata, first_sight(world), resourceVersion=metadata.resource_version
        )

    async def tell(self, world: World, report: Report, problems: tuple[Problem, ...]) -> datetime | None:
        """Write the status of a service if it differs; return when to do it if it is too early.

        Raises:
            ClusterError: it was not written.
        """
        key = _key(world)
        observed = self._store.get(Ref(MTLSSERVICE, *key))
        status = build_status(world, report, problems)
        if observed is None or observed.get("status") == status:
            return None
        told = self._told.get(key)
        if told is not None and within(STATUS_INTERVAL, told, world.now):
            return told + STATUS_INTERVAL
        for notice in notices(world, report, status):
            self.record(world, notice)
        await self._apply(MTLSSERVICE, world.service.metadata, status)
        self._told[key] = self._clock()
        return None

    async def tell_if_it_lasts(self, world: World, report: Report, problems: tuple[Problem, ...]) -> None:
        """Write the status of a service whose steps keep failing; a short failure is nobody's business."""
        since = self._failing_since.setdefault(_key(world), world.now)
        if not within(PATIENCE, since, world.now):
            await self.tell(world, report, problems)

    def recovered(self, key: Key) -> None:
        """Note that the steps of a service succeed."""
        self._failing_since.pop(key, None)

    def forget(self, key: Key) -> None:
        """Forget a service that is no more."""
        self._told.pop(key, None)
        self._failing_since.pop(key, None)

    async def tell_clients(self, world: World, report: Report) -> datetime | None:
        """Tell each MTLSClient of the service what it does not know yet; return when to do the rest.

        Raises:
            UnavailableError: it is not known whether all were told.
        """
        now, told = world.now, self._told_clients
        self._told_clients = told = {ref: at for ref, at in told.items() if within(STATUS_INTERVAL, at, now)}
        news = [answer for answer in answers(world, report) if self._is_news(answer)]
        early = [answer for answer in news if client_ref(answer.client) in told]
        await gather(partial(self._tell_client, answer, now) for answer in news if answer not in early)
        return min((told[client_ref(answer.client)] + STATUS_INTERVAL for answer in early), default=None)

    def _is_news(self, answer: Answer) -> bool:
        observed = self._store.get(client_ref(answer.client))
        return observed is not None and observed.get("status") != answer.status

    async def _tell_client(self, answer: Answer, now: datetime) -> None:
        """Write one status; what is refused was altered or deleted meanwhile, of which a watch tells."""
        metadata, notice = answer.client.metadata, answer.notice
        try:
            told = await self._apply(MTLSCLIENT, metadata, answer.status)
        except (ConflictError, RefusedError) as error:
            name = f"MTLSClient {metadata.namespace}/{metadata.name}"
            logger.warning("status not written", extra={"object": name, "reason": str(error)})
            return
        self._told_clients[client_ref(answer.client)] = now
        if notice is not None:
            self._recorder.record(told, notice.severity, notice.reason, notice.message)

    async def _apply(
        self, resource: Resource, metadata: Metadata, status: Object, **preconditions: str
    ) -> Object:
        """Write a status, of this very object only."""
        identity = {"namespace": metadata.namespace, "name": metadata.name, "uid": metadata.uid}
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": identity | preconditions,
            "status": status,
        }
        told = await self._cluster.apply_status(resource, body)
        self._store.put(resource, told)
        return told


def _key(world: World) -> Key:
    return Key(world.service.metadata.namespace, world.service.metadata.name)
