"""Write what MTLSClients are told, to each at most once a second."""

import logging
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Literal, Protocol

from .deadlines import within
from .decide.consent import client_ref
from .plan import STATUS_INTERVAL
from .ports import MTLSCLIENT, Cluster, ConflictError, Object, Ref, RefusedError
from .status.client import Answer
from .steps import gather
from .store import Store

logger = logging.getLogger(__name__)


class Recorder(Protocol):
    """Records Events; never blocks and never fails."""

    def record(
        self, regarding: Object, severity: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event about an object."""


class Herald:
    """Knows when each MTLSClient was told something for the last time."""

    def __init__(self, store: Store, cluster: Cluster, recorder: Recorder) -> None:
        self._store = store
        self._cluster = cluster
        self._recorder = recorder
        self._told: dict[Ref, datetime] = {}

    async def tell(self, answers: Iterable[Answer], now: datetime) -> datetime | None:
        """Tell each what it does not know yet; return when to do the rest.

        Raises:
            UnavailableError: it is not known whether all were told.
        """
        self._told = {ref: told for ref, told in self._told.items() if within(STATUS_INTERVAL, told, now)}
        news = [answer for answer in answers if self._is_news(answer)]
        early = [answer for answer in news if client_ref(answer.client) in self._told]
        await gather(partial(self._tell, answer, now) for answer in news if answer not in early)
        return min(
            (self._told[client_ref(answer.client)] + STATUS_INTERVAL for answer in early), default=None
        )

    def _is_news(self, answer: Answer) -> bool:
        observed = self._store.get(client_ref(answer.client))
        return observed is not None and observed.get("status") != answer.status

    async def _tell(self, answer: Answer, now: datetime) -> None:
        """Write one status; what is refused was altered or deleted meanwhile, of which a watch tells."""
        metadata, notice = answer.client.metadata, answer.notice
        identity = {"namespace": metadata.namespace, "name": metadata.name, "uid": metadata.uid}
        body = {
            "apiVersion": MTLSCLIENT.api_version,
            "kind": MTLSCLIENT.kind,
            "metadata": identity,
            "status": answer.status,
        }
        try:
            told = await self._cluster.apply_status(MTLSCLIENT, body)
        except (ConflictError, RefusedError) as error:
            name = f"MTLSClient {metadata.namespace}/{metadata.name}"
            logger.warning("status not written", extra={"object": name, "reason": str(error)})
            return
        self._told[client_ref(answer.client)] = now
        self._store.put(MTLSCLIENT, told)
        if notice is not None:
            self._recorder.record(told, notice.severity, notice.reason, notice.message)
