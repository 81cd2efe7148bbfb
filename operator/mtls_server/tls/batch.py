"""The same step of several connections, one after the other."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from time import perf_counter
from typing import Final

MAX_SECONDS: Final = 0.02
"""For what may take long, before others have their turn: who asks if the server lives waits for a second."""


class Batch:
    """Does what was added in one callback of the event loop, soon.

    The processor's caches serve repetition best, and a callback for each would cost more. Calls share the
    context in which the batch was made: they set no context variables.
    """

    __slots__ = ("_context", "_loop", "_schedule", "calls")

    def __init__(self, schedule: Callable[[], None] | None = None) -> None:
        """Begin empty.

        Args:
            schedule: sees to it that `run` is called; without it, the event loop does.
        """
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._schedule = self._soon if schedule is None else schedule
        self.calls: list[Callable[[], object]] = []
        """What waits, in its order."""

    def add(self, call: Callable[[], object]) -> None:
        """Call it soon, after those that were added before."""
        if not self.calls:
            self._schedule()
        self.calls.append(call)

    def run(self) -> None:
        """Do all that waits, but not what this adds; what one raises is reported and takes no other along."""
        calls, self.calls = self.calls, []
        self._do(calls)

    def _do(self, calls: Sequence[Callable[[], object]]) -> None:
        for call in calls:
            try:
                call()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - reported as the loop reports its own callbacks
                report(self._loop, call, error)

    def _soon(self) -> None:
        self._loop.call_soon(self.run, context=self._context)


class LongBatch(Batch):
    """Of calls that may take long: what has not had its turn after a while waits until others had theirs."""

    __slots__ = ()

    def run(self) -> None:
        """Do one at least, and more while there is time."""
        end = perf_counter() + MAX_SECONDS
        calls, self.calls = self.calls, []
        done = 0
        while done < len(calls) and (done == 0 or perf_counter() < end):
            self._do(calls[done : done + 1])
            done += 1
        self.calls[:0] = calls[done:]


class Batches:
    """One batch for each step in the life of a connection, all done in this order in one callback."""

    __slots__ = (
        "_context",
        "_held",
        "_in_order",
        "_loop",
        "_scheduled",
        "answer",
        "deliver",
        "end",
        "finish",
        "flush",
        "start",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._held = self._scheduled = False
        self.start = Batch(self._schedule)
        self.finish = Batch(self._schedule)
        self.deliver = Batch(self._schedule)
        self.answer = LongBatch(self._schedule)
        """Of protocols that have others answer what was delivered."""
        self.flush = Batch(self._schedule)
        self.end = Batch(self._schedule)
        self._in_order = (self.start, self.finish, self.deliver, self.answer, self.flush, self.end)

    def hold(self) -> None:
        """Wait for `run`, which the caller promises, with all that is added."""
        self._held = True

    def run(self) -> None:
        """Do every step; what then waits for a step already done is done soon."""
        for batch in self._in_order:
            if batch.calls:
                batch.run()
        self._held = False
        for batch in self._in_order:
            if batch.calls:
                self._schedule()

    def _schedule(self) -> None:
        if not (self._held or self._scheduled):
            self._scheduled = True
            self._loop.call_soon(self._run_scheduled, context=self._context)

    def _run_scheduled(self) -> None:
        self._scheduled = False
        self.hold()
        self.run()


def report(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], error: BaseException) -> None:
    """Report as the loop does what its own callbacks raise."""
    loop.call_exception_handler({"message": f"Exception in callback {callback!r}", "exception": error})
