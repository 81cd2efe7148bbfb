"""Runs kopf in a thread and loop of its own, and starts it again whenever it ends."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import kopf
from kopf._core.engines.peering import Identity

from mtls_operator.api.settings import Settings
from mtls_operator.reconcile.ports import ClusterError
from mtls_operator.reconcile.watched import WATCHED, Sink

from .bridge import Bridge
from .registry import build_registry, group_version_plural

_FIRST_BACKOFF: Final = 1.0
_LONGEST_BACKOFF: Final = 30.0
# Left to itself, kopf asks for the name of the user, and the user of a pod has none.
_IDENTITY: Final = Identity("mtls-operator")
_FAREWELL: Final = 0.25
"""Seconds that closed TLS connections get before their loop is gone."""
_PATIENCE: Final = 2.0
"""Seconds that kopf's tasks get to end after each cancellation."""
_LONGEST_END: Final = 15.0
"""Seconds that kopf gets to end."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoffs:
    """Growing, jittered, endless pauses in seconds; each iteration begins anew."""

    random: Random

    def __iter__(self) -> Iterator[float]:
        pause = _FIRST_BACKOFF
        while True:
            yield pause * self.random.uniform(0.5, 1.0)
            pause = min(2 * pause, _LONGEST_BACKOFF)


def kopf_settings(backoffs: Backoffs) -> kopf.OperatorSettings:
    """Return settings for watching only: no peering, no Events, no scanning, no giving up."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 1.0
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.inactivity_timeout = 70
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = backoffs
    settings.networking.enforce_retry_after = True
    for watched in WATCHED:
        if watched.selector:
            settings.watching.label_selectors[group_version_plural(watched.resource)] = watched.selector
    return settings


@dataclass
class Watcher:
    """The watches of everything that concerns us.

    A watch that ends by itself resumes by itself; what kopf cannot get over (a kind that is no longer
    served, an odd error in the stream) ends kopf, and a new one is started.
    """

    settings: Settings
    sink: Sink
    """Called on the loop in which this runs."""
    unserved: Callable[[], Awaitable[Sequence[str]]]
    """Names the kinds that the API server does not serve; kopf would ignore them for ever."""
    random: Random
    on_start: Callable[[], None] = lambda: None
    """Called before each start: events may have been missed since the last one."""
    trouble: str = field(default="the watches have not begun", init=False)
    """Why nothing is watched, in words; empty while kopf runs."""
    _restart: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def restart(self) -> None:
        """Begin all watches anew."""
        self._restart.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until ``stop``."""
        quieten()
        backoffs = iter(Backoffs(self.random))
        while not stop.is_set():
            self.trouble = await self._obstacle()
            if self.trouble:
                _log.warning("Cannot watch yet: %s", self.trouble)
            else:
                begun = asyncio.get_running_loop().time()
                self.on_start()
                await self._watch(stop)
                if asyncio.get_running_loop().time() - begun > 2 * _LONGEST_BACKOFF:
                    backoffs = iter(Backoffs(self.random))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(backoffs)):
                    await stop.wait()

    async def _obstacle(self) -> str:
        try:
            return "; ".join(await self.unserved())
        except ClusterError as trouble:
            return str(trouble)

    async def _watch(self, stop: asyncio.Event) -> None:
        self._restart.clear()
        bridge = Bridge(asyncio.get_running_loop(), self.sink)
        run = _Run(self.settings, bridge, Backoffs(self.random))
        asked: list[asyncio.Future[Any]] = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(self._restart.wait()),
        ]
        try:
            await asyncio.wait([*asked, run.ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            run.stop()
            await asyncio.wait([run.ended], timeout=_LONGEST_END)
            bridge.close()
            for task in asked:
                task.cancel()
        if not run.ended.done():
            _log.warning("kopf does not end; it is left to itself, and its events are dropped")
        elif (trouble := run.ended.result()) is not None:
            self.trouble = f"the watches ended: {type(trouble).__name__}"
            _log.warning("%s; they will begin anew", self.trouble)


class _Run:
    """One life of kopf, from now until ``stop`` or until it ends by itself, mostly by raising."""

    def __init__(self, settings: Settings, bridge: Bridge, backoffs: Backoffs) -> None:
        self._settings = settings
        self._bridge = bridge
        self._backoffs = backoffs
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_stray)
        self._stop = asyncio.Event()
        self._here = asyncio.get_running_loop()
        self.ended: asyncio.Future[BaseException | None] = self._here.create_future()
        """Of the loop that this was made in: what kopf raised."""
        # A daemon, so that the process can end although kopf does not.
        threading.Thread(target=self._live, name="kopf", daemon=True).start()

    def stop(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._stop.set)

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            trouble = runner.run(self._outcome())
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            self._here.call_soon_threadsafe(self.ended.set_result, trouble)

    async def _outcome(self) -> BaseException | None:
        namespaces = {*self._settings.watched_namespaces, self._settings.namespace}
        tasks = await kopf.spawn_tasks(
            registry=build_registry(self._settings, self._bridge.put),
            settings=kopf_settings(self._backoffs),
            identity=_IDENTITY,
            clusterwide=not self._settings.watched_namespaces,
            namespaces=sorted(namespaces) if self._settings.watched_namespaces else (),
            stop_flag=self._stop,
        )
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await end(tasks)
        await asyncio.sleep(_FAREWELL)
        return next(filter(None, (task.exception() for task in ended)), None)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel kopf's tasks, and then whatever they leave behind in this loop, until all of it has ended.

    `kopf.run_tasks` cancels each task once and waits for ever. A watch that is just being renewed swallows
    that, lives on, and is all that is left of kopf.
    """
    while tasks:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_PATIENCE)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}


def _log_stray(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log in one line what kopf's tasks leave unanswered: several watches of one kind end together."""
    _log.debug("%s %s", context["message"], type(context.get("exception")).__name__)


def quieten() -> None:
    """Keep kopf's logs to what an operator of clusters must know, and objects out of them."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # These two tell at length that a watch ended, which is told here in one line.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.CRITICAL)
    logging.getLogger("kopf._core.reactor.orchestration").setLevel(logging.CRITICAL)
    logging.getLogger("kopf._cogs.clients.watching").addFilter(_carries_no_object)


def _carries_no_object(record: logging.LogRecord) -> bool:
    return "'object':" not in record.getMessage()
