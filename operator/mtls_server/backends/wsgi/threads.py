"""Threads that run applications."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue


class Threads:
    """A fixed number of threads; what finds none free waits its turn.

    They do not keep the process from ending, as those of `concurrent.futures` would: when the time to
    drain is over, nobody waits for an application that is stuck.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._idle = 0
        self._jobs = SimpleQueue[Callable[[], None]]()

    def run(self, function: Callable[[], None]) -> asyncio.Future[None]:
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
            loop.call_soon_threadsafe(_finish, done, error)

        if self._started < self._count:
            self._started += 1
            threading.Thread(target=self._work, name=f"wsgi-{self._started}", daemon=True).start()
        self._jobs.put(job)
        return done

    def _work(self) -> None:
        while True:
            self._jobs.get()()


def _finish(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
