"""Events and deadlines become passes."""

import asyncio
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from mtls_operator.reconcile.engine import Engine
from mtls_operator.reconcile.metrics import Metrics
from mtls_operator.reconcile.ports import Key
from mtls_operator.reconcile.queue import KeyedQueue

from .api import ORDERS, Operator
from .universe import START


async def test_every_service_is_looked_at_when_the_clock_is_set_back() -> None:
    operator = Operator()
    queue: KeyedQueue[Key] = KeyedQueue(spread=lambda: 1.0)
    metrics = Metrics(CollectorRegistry())
    engine = Engine(operator.store, queue, operator.deadlines, operator.reconciler, metrics)
    operator.deadlines.set(ORDERS, START + timedelta(hours=12))

    def clock() -> datetime:
        moments.append(moments[-1] - timedelta(hours=1))
        return moments[-1]

    moments = [START]
    running = asyncio.create_task(engine.run(0, clock))
    assert await asyncio.wait_for(queue.get(), 5) == ORDERS
    running.cancel()
