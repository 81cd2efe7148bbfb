"""Put the operator together, and run it until it is told to stop."""

import asyncio
import logging
import random
import signal
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from mtls_operator import admin
from mtls_operator.api.settings import Settings
from mtls_operator.cluster.client import ApiClient
from mtls_operator.cluster.events import EventRecorder
from mtls_operator.cluster.lease import LEASE, Elector, Installations
from mtls_operator.cluster.pods import PodClient
from mtls_operator.cluster.preflight import missing, permissions, unserved
from mtls_operator.cluster.relist import Relist
from mtls_operator.cluster.transport import Transport, configure
from mtls_operator.handlers.watcher import Watcher
from mtls_operator.options import Options
from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.reconcile.act import Actor
from mtls_operator.reconcile.deadlines import Deadlines
from mtls_operator.reconcile.engine import Engine
from mtls_operator.reconcile.metrics import Metrics
from mtls_operator.reconcile.pace import Pace
from mtls_operator.reconcile.ports import Cluster, ClusterError, Key, Ref
from mtls_operator.reconcile.queue import KeyedQueue
from mtls_operator.reconcile.reconciler import Reconciler, Surroundings
from mtls_operator.reconcile.store import Store
from mtls_operator.reconcile.sweep import Sweeper, sweep_for_ever
from mtls_operator.reconcile.watched import WATCHED

DECIDING_THREADS = 4
"""Making a key leaves the interpreter to others, so a few at a time cost nobody else much."""

logger = logging.getLogger(__name__)


async def operate(options: Options) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    settings = options.settings
    stop, leads, watches_done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    chance = random.SystemRandom()
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(Transport(await configure()))
        pods = await stack.enter_async_context(PodClient())
        unguarded = ApiClient(transport)
        # With connections of its own, a renewal of the Lease never queues behind what the Lease allows.
        apart = ApiClient(await stack.enter_async_context(Transport(await configure())))
        elector = Elector(
            apart, Ref(LEASE, settings.namespace, settings.instance), _process_identity(), chance
        )
        cluster = ApiClient(transport, elector.guard)
        recorder = EventRecorder(cluster, settings.identity)
        engine = _engine(settings, cluster, pods, recorder, Metrics(registry))

        def watch_anew() -> None:
            watcher.restart()

        relist = Relist(unguarded, settings, engine.sink, watch_anew, chance)
        watcher = Watcher(
            settings,
            relist.take,
            lambda: unserved(transport, [watched.resource for watched in WATCHED]),
            chance,
            relist.soon,
        )
        await stack.enter_async_context(
            admin.serve(options.admin_port, lambda: "", lambda: watcher.trouble or relist.trouble, registry)
        )
        await _warn_of_missing_permissions(unguarded, settings)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watcher.run(watches_done))
            background = [
                tasks.create_task(work)
                for work in (
                    relist.run(),
                    recorder.run(),
                    _work(engine, settings, cluster, (leads, relist.synced)),
                )
            ]
            await elector.run(stop, leads.set)
            logger.info("stopping")
            for task in background:
                task.cancel()
            watches_done.set()
            await asyncio.wait([watching])


def _engine(
    settings: Settings, cluster: ApiClient, pods: PodClient, recorder: EventRecorder, metrics: Metrics
) -> Engine:
    store = Store(settings.namespace)
    queue: KeyedQueue[Key] = KeyedQueue(spread=lambda: random.uniform(0.8, 1.2))  # noqa: S311 - only spreads
    deadlines: Deadlines[Key] = Deadlines()
    surroundings = Surroundings(
        settings=settings,
        cluster=cluster,
        actor=Actor(store, cluster, pods, _now, metrics, pace=Pace()),
        recorder=recorder,
        entropy=SYSTEM_ENTROPY,
        threads=ThreadPoolExecutor(DECIDING_THREADS, "decide"),
        clock=_now,
        is_alive=Installations(cluster).alive,
    )
    return Engine(store, queue, deadlines, Reconciler(store, deadlines, surroundings), metrics)


async def _work(
    engine: Engine, settings: Settings, cluster: Cluster, conditions: tuple[asyncio.Event, ...]
) -> None:
    """Reconcile and sweep, once this process leads and knows what there is."""
    for condition in conditions:
        await condition.wait()
    sweeper = Sweeper(settings, cluster, _now)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.run(settings.workers, _now))
        tasks.create_task(sweep_for_ever(sweeper, settings.sweep_interval))


async def _warn_of_missing_permissions(cluster: Cluster, settings: Settings) -> None:
    try:
        sentences = await missing(cluster, permissions(settings))
    except ClusterError as error:
        logger.warning("permissions could not be checked", extra={"reason": str(error)})
        return
    for sentence in sentences:
        logger.error(sentence)


def _process_identity() -> str:
    """Name this process and no other, ever: a restarted container has its predecessor's host name."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


def _now() -> datetime:
    return datetime.now(UTC)
