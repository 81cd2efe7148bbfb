"""Threads that run applications."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from contextvars import copy_context
from queue import SimpleQueue

Job = Callable[[], None]


class Threads:
    """A fixed number of threads; what finds none free, or its caller's share taken, waits its turn.

    They do not keep the process from ending, as those of `concurrent.futures` would: when the time to
    drain is over, nobody waits for an application that is stuck.
    """

    def __init__(self, count: int, share: int) -> None:
        """Start none yet.

        Args:
            count: of the threads.
            share: how many of them one caller may have.
        """
        self._count = count
        self._share = share
        self._started = 0
        self._jobs = SimpleQueue[Job]()
        self._under_way = Counter[Hashable]()
        """By caller: jobs that are running, or have only a thread to wait for."""
        self._waiting: dict[Hashable, dict[asyncio.Future[None], Job]] = {}
        """By caller: jobs beyond its share, in their order."""

    def run(self, function: Callable[[], None], caller: Hashable) -> asyncio.Future[None]:
        """Call on a thread, in a copy of the current context; the future has what it raises."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        context = copy_context()

        def job() -> None:
            error: BaseException | None = None
            try:
                context.run(function)
            except BaseException as raised:  # noqa: BLE001 - is raised where it is awaited
                error = raised
            loop.call_soon_threadsafe(self._finish, caller, done, error)

        if self._under_way[caller] < self._share:
            self._begin(caller, job)
        else:
            self._waiting.setdefault(caller, {})[done] = job
        return done

    def withdraw(self, done: asyncio.Future[None], caller: Hashable) -> None:
        """End a job, by its future, that has waited for its caller's share until now; keep nothing of it."""
        waiting = self._waiting.get(caller, {})
        if waiting.pop(done, None) is not None:
            if not waiting:
                del self._waiting[caller]
            done.set_result(None)

    def _begin(self, caller: Hashable, job: Job) -> None:
        self._under_way[caller] += 1
        if self._started < self._count:
            self._started += 1
            threading.Thread(target=self._work, name=f"wsgi-{self._started}", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()

    def _finish(self, caller: Hashable, done: asyncio.Future[None], error: BaseException | None) -> None:
        self._under_way[caller] -= 1
        if waiting := self._waiting.get(caller):
            self._begin(caller, waiting.pop(next(iter(waiting))))
        else:
            self._waiting.pop(caller, None)
        if not self._under_way[caller]:
            del self._under_way[caller]
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
