"""Measures what a healthy client notices while others abuse handshakes: ``make bench-abuse``.

The server runs on one core; a healthy client and, at a lower priority, the abusers share the other. Every
abuse ends by itself.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue

from tests.bench import options, report
from tests.bench.caller import ask, connect, serving
from tests.bench.processes import CLIENT_CORE
from tests.unit.server.abuse import Abuse, Swarm, abuses

BEGIN, END = "<!-- abuse -->", "<!-- end of abuse -->"
HEAD = (
    *("abuse", "connections", "ended by the server", "kept: p50 ms", "p99 ms"),
    *("new: p50 ms", "p99 ms", "requests", "failed"),
)
SETTLE_SECONDS = 1.0
"""How long an abuse goes on before the healthy client's times count."""
BUSY = {"handshake flood": 200, "reset amid the handshake": 200}
"""Connections at a time of the abuses that cost the server its processor, whatever their number."""


@dataclass
class Times:
    """How long a healthy client waited each time, in seconds, and what it was told instead of an answer."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        """Return it in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


@dataclass(frozen=True)
class Healthy:
    """A client that is served: on one connection that it keeps, and on a new one for each request."""

    port: int
    context: ssl.SSLContext
    kept: ssl.SSLSocket

    def measure(self, seconds: float) -> tuple[Times, Times]:
        """Return the times of both, the kept connection's first."""
        end = time.monotonic() + seconds
        kept, new = Times(), Times()
        asks: Sequence[Callable[[], None]] = (lambda: ask(self.kept)), self._connect_and_ask
        threads = [
            threading.Thread(target=_repeat, args=(ask, times, end))
            for ask, times in zip(asks, (kept, new), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return kept, new

    def _connect_and_ask(self) -> None:
        with connect(self.port, self.context) as connection:
            ask(connection)


def main() -> None:
    given = _arguments()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.sched_setaffinity(0, {CLIENT_CORE})
    lines = [[*HEAD]]
    with contextlib.ExitStack() as stack:
        server, mounted = stack.enter_context(serving(given.python))
        context = mounted.context()
        kept = stack.enter_context(connect(server.port, context))
        healthy = Healthy(server.port, context, kept)
        healthy.measure(1)
        lines.append(["none", "", "", *_figures(*healthy.measure(given.seconds))])
        for name, abuse in abuses().items():
            if given.only in name:
                count = min(given.connections, BUSY.get(name, given.connections))
                _say(f"{name}: {count} at a time")
                lines.append([name, *_measure(abuse, count, healthy, given.seconds)])
    table = report.table(lines)
    print(table)
    if given.write:
        report.insert(table, BEGIN, END)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.abuse", description=__doc__, parents=[options.PYTHON, options.WRITE]
    )
    parser.add_argument("--connections", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8, help="of each abuse (default: %(default)g)")
    parser.add_argument("--only", default="", metavar="WORD", help="abuses with that in their name")
    return parser.parse_args()


def _measure(abuse: Abuse, count: int, healthy: Healthy, seconds: float) -> Sequence[str]:
    spawning = multiprocessing.get_context("spawn")
    counts: SimpleQueue[tuple[int, int]] = spawning.SimpleQueue()
    arguments = abuse, healthy.port, count, seconds + SETTLE_SECONDS, counts
    abuser = spawning.Process(target=_abuse, args=arguments)
    abuser.start()
    time.sleep(SETTLE_SECONDS)
    times = healthy.measure(seconds)
    opened, ended = counts.get()
    abuser.join()
    return [f"{opened:,}", f"{ended:,}", *_figures(*times)]


def _abuse(
    abuse: Abuse, port: int, count: int, seconds: float, counts: "SimpleQueue[tuple[int, int]]"
) -> None:
    os.nice(10)
    swarm = Swarm(abuse, ("127.0.0.1", port), count)
    swarm.run(seconds)
    counts.put((swarm.opened, swarm.ended))


def _repeat(ask: Callable[[], None], times: Times, end: float) -> None:
    while time.monotonic() < end:
        start = time.perf_counter()
        try:
            ask()
        except OSError as error:
            times.failures.append(str(error))
        else:
            times.seconds.append(time.perf_counter() - start)
        time.sleep(0.01)


def _figures(kept: Times, new: Times) -> Sequence[str]:
    for failure in {*kept.failures, *new.failures}:
        print(f"a healthy client failed: {failure}", file=sys.stderr)
    percentiles = [f"{times.percentile(percent):.1f}" for times in (kept, new) for percent in (50, 99)]
    requests = len(kept.seconds) + len(new.seconds)
    return [*percentiles, f"{requests:,}", str(len(kept.failures) + len(new.failures))]


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
