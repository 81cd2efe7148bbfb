"""A time that is allowed, and often allowed anew."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls when it passes. One timer serves all times, and is moved only when it ends too late."""

    def __init__(self, overdue: Callable[[], None]) -> None:
        """Allow any time yet."""
        self._loop = asyncio.get_running_loop()
        self._overdue = overdue
        self._end: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def allow(self, seconds: float | None) -> None:
        """Be overdue after so many seconds, unless told otherwise by then; None: take your time."""
        if seconds is None:
            self._end = None
            return
        self._end = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._end:
            self._set_timer()

    def cancel(self) -> None:
        """Be never overdue, and let go of the timer."""
        self._end = None
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if self._end is None else self._loop.call_at(self._end, self._look_at_clock)

    def _look_at_clock(self) -> None:
        if self._end is not None and self._end <= self._loop.time():
            self._timer = None
            self._overdue()
        else:
            self._set_timer()
