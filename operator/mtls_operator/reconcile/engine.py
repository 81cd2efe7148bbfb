"""Keep every service reconciled: events and deadlines become keys, workers take keys one by one."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime

from .deadlines import Deadlines
from .metrics import Metrics
from .ports import ClusterError, Key, Object, Resource, UnavailableError
from .queue import KeyedQueue
from .reconciler import Reconciler
from .store import Store

TICK = 0.5
"""Seconds between looks at the wall clock at most, so that a clock that jumps is noticed."""
SHORTEST_TICK = 0.02

logger = logging.getLogger(__name__)


class Engine:
    """Feeds keys to the reconciler."""

    def __init__(
        self,
        store: Store,
        queue: KeyedQueue[Key],
        deadlines: Deadlines[Key],
        reconciler: Reconciler,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._queue = queue
        self._deadlines = deadlines
        self._reconciler = reconciler
        self._metrics = metrics
        metrics.waiting.set_function(lambda: len(queue))

    def sink(self, event_type: str, resource: Resource, body: Object) -> None:
        """Take in what a watch saw."""
        take_in = self._store.remove if event_type == "DELETED" else self._store.put
        for key in take_in(resource, body):
            self._queue.add(key)

    async def run(self, workers: int, clock: Callable[[], datetime]) -> None:
        """Reconcile with this many workers until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_deadlines(clock))
            for _ in range(workers):
                tasks.create_task(self._work())

    async def _watch_deadlines(self, clock: Callable[[], datetime]) -> None:
        before = clock()
        while True:
            now = clock()
            if now < before:
                self._look_at_all()
            before = now
            for key in self._deadlines.due(now):
                self._queue.add(key)
            upcoming = self._deadlines.next()
            wait = TICK if upcoming is None else min(TICK, (upcoming - now).total_seconds())
            await asyncio.sleep(max(wait, SHORTEST_TICK))

    def _look_at_all(self) -> None:
        """Ask for passes when the clock was set back: it may be long until what was due soon."""
        logger.warning("the clock was set back; looking at every service")
        for key in self._store.services():
            self._queue.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            begun = time.perf_counter()
            result = "error"
            try:
                await self._reconciler.reconcile(key)
            except ClusterError as error:
                at_least = error.retry_after if isinstance(error, UnavailableError) else None
                delay = self._queue.retry(key, at_least or 0.0)
                logger.warning(
                    "pass failed", extra={"service": _spell(key), "reason": str(error), "retry": delay}
                )
            except Exception:
                delay = self._queue.retry(key)
                logger.exception("pass failed unexpectedly", extra={"service": _spell(key), "retry": delay})
            else:
                result = "ok"
                self._queue.done(key)
            finally:
                self._metrics.passes.labels(result).observe(time.perf_counter() - begun)


def _spell(key: Key) -> str:
    return f"{key.namespace}/{key.name}"
