"""From kopf's thread into the event loop of the core."""

import asyncio
import contextlib
from collections import deque
from typing import Final

from mtls_operator.reconcile.ports import Object, Resource
from mtls_operator.reconcile.watched import Sink

_BATCH: Final = 200


class Bridge:
    """Takes events on any thread and hands them to ``sink`` on the loop, in order, in batches."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        self._loop = loop
        self._sink = sink
        self._events: deque[tuple[str, Resource, Object]] = deque()
        self._scheduled = False

    def put(self, event_type: str, resource: Resource, body: Object) -> None:
        """Take one event; of those that come after the loop has closed nobody hears."""
        self._events.append((event_type, resource, body))
        if not self._scheduled:
            self._scheduled = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._drain)

    def close(self) -> None:
        """Drop what has not arrived, and whatever comes later."""
        self._sink = lambda *_: None

    def _drain(self) -> None:
        for _ in range(_BATCH):
            if not self._events:
                break
            self._sink(*self._events.popleft())
        # First the flag, then the look: an event that comes in between is drained twice, never not at all.
        self._scheduled = False
        if self._events:
            self._scheduled = True
            self._loop.call_soon(self._drain)
