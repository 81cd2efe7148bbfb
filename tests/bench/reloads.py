"""Replaces the files of a server under load, and tells what its clients notice of that."""

import contextlib
import json
import math
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import quantiles

from tests.bench.measure import MODES, LoadClient, Report
from tests.unit.server import kubelet

PERIOD_SECONDS = 0.1
SLICE_SECONDS = 3.0
CONNECTIONS = 4
"""Of each kind of load."""
MOST_FOR_EACH = 2
"""Deliveries that a wanted reload may take: a machine with too much else to do reads two of them at once."""


@dataclass(frozen=True)
class Reloads:
    """What clients saw while the files were replaced again and again, and while as many were written in vain.

    Quartiles are those of the 99th percentiles of the slices, in milliseconds by mode.
    """

    count: int
    errors: int
    seconds: float
    slices: int
    without: Mapping[str, Sequence[float]]
    during: Mapping[str, Sequence[float]]


def measure_reloads(
    client: LoadClient, port: int, mounted: Path, deliveries: Sequence[Mapping[str, bytes]], wanted: int
) -> Reloads:
    """Replace the files under both kinds of load at once; half of the time write them beside those.

    So writing costs the client's core the same in either slice, and nobody asks the server which generation
    serves. The slices take turns, so what else the machine does falls on both.

    Args:
        client: puts load on the server.
        port: the server's; its admin port is the next.
        mounted: the server's directory.
        deliveries: take turns.
        wanted: reloads, at least.
    """
    beside = mounted.with_name("beside")
    first = _generation(port)
    without: list[Mapping[str, Report]] = []
    during: list[Mapping[str, Report]] = []
    numbers = count()

    def deliver(directory: Path) -> None:
        kubelet.deliver(directory, deliveries[next(numbers) % len(deliveries)])

    for _ in range(2 + MOST_FOR_EACH * math.ceil(wanted * PERIOD_SECONDS / SLICE_SECONDS)):
        if len(during) > 1 and _generation(port) >= first + wanted:
            break
        with _repeated(lambda: deliver(beside)):
            without.append(_load(client, port))
        with _repeated(lambda: deliver(mounted)):
            during.append(_load(client, port))
    return Reloads(
        count=_generation(port) - first,
        errors=sum(report.errors for reports in (*without, *during) for report in reports.values()),
        seconds=SLICE_SECONDS * len(during),
        slices=len(during),
        without=_quartiles(without),
        during=_quartiles(during),
    )


@contextlib.contextmanager
def _repeated(action: Callable[[], None]) -> Iterator[None]:
    enough = threading.Event()

    def repeat() -> None:
        due = time.monotonic()
        while not enough.wait(due - time.monotonic()):
            action()
            due += PERIOD_SECONDS

    with ThreadPoolExecutor(1) as pool:
        repeating = pool.submit(repeat)
        try:
            yield
        finally:
            enough.set()
    repeating.result()


def _load(client: LoadClient, port: int) -> Mapping[str, Report]:
    with ThreadPoolExecutor(len(MODES)) as pool:
        running = {mode: pool.submit(client.load, port, mode, SLICE_SECONDS, CONNECTIONS) for mode in MODES}
        return {mode: report.result() for mode, report in running.items()}


def _quartiles(slices: Sequence[Mapping[str, Report]]) -> Mapping[str, Sequence[float]]:
    return {
        mode: quantiles([reports[mode].p99 * 1e3 for reports in slices], n=4, method="inclusive")
        for mode in MODES
    }


def _generation(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/state", timeout=10) as answer:
        number: int = json.load(answer)["generation"]
    return number
