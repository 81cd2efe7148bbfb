"""The same step of several connections, one after the other."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context


class Batch:
    """Does what was added in one callback of the event loop, soon.

    The processor's caches serve repetition best, and a callback for each would cost more. Calls share the
    context in which the batch was made: they set no context variables.
    """

    __slots__ = ("_calls", "_context", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._calls: list[Callable[[], object]] = []

    def add(self, call: Callable[[], object]) -> None:
        """Call it soon, after those that were added before."""
        if not self._calls:
            self._loop.call_soon(self._run, context=self._context)
        self._calls.append(call)

    def _run(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            try:
                call()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - reported as the loop reports its own callbacks
                self._loop.call_exception_handler(
                    {"message": f"Exception in callback {call!r}", "exception": error}
                )


class Batches:
    """One batch for each step in the life of a connection."""

    __slots__ = ("deliver", "end", "finish", "flush", "start")

    def __init__(self) -> None:
        self.start = Batch()
        self.finish = Batch()
        self.deliver = Batch()
        self.flush = Batch()
        self.end = Batch()
