"""Measures whether a server stays as it is over very many connections: ``make bench-flat``.

Each connection is a handshake, one request and an orderly end. Memory and descriptors are read while nobody
is connected.
"""

import argparse
import os
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import options, report
from tests.bench.caller import ask, connect, serving
from tests.bench.processes import CLIENT_CORE, Process

BEGIN, END = "<!-- flat -->", "<!-- end of flat -->"
HEAD = ("connections", "resident MiB", "descriptors", "threads")
CLIENTS = 4
SOURCES = 200
"""Addresses of the loopback that connections come from, so that no port of one is wanted again too soon."""
SETTLE_SECONDS = 3.0


def main() -> None:
    given = _arguments()
    os.sched_setaffinity(0, {CLIENT_CORE})
    lines = [[*HEAD]]
    begun = time.monotonic()
    with serving(given.python) as (server, mounted):
        context = mounted.context()
        for done in range(0, given.connections + 1, given.step):
            if done:
                _connect(server.port, context, given.step)
                time.sleep(SETTLE_SECONDS)
            lines.append([f"{done:,}", *_state(server)])
            print(lines[-1], f"{time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    table = report.table(lines)
    print(table)
    if given.write:
        report.insert(table, BEGIN, END)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.flat", description=__doc__, parents=[options.PYTHON, options.WRITE]
    )
    parser.add_argument("--connections", type=int, default=100_000, help="(default: %(default)s)")
    parser.add_argument(
        "--step", type=int, default=10_000, help="connections of a line (default: %(default)s)"
    )
    return parser.parse_args()


def _connect(port: int, context: ssl.SSLContext, count: int) -> None:
    failures: list[str] = []

    def connect_some(first: int) -> None:
        for number in range(first, count, CLIENTS):
            try:
                _come_and_go(port, context, f"127.0.1.{1 + number % SOURCES}")
            except OSError as error:
                failures.append(str(error))

    threads = [threading.Thread(target=connect_some, args=(first,)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"{len(failures)} connections failed, the last with: {failures[-1]}")


def _come_and_go(port: int, context: ssl.SSLContext, source: str) -> None:
    with connect(port, context, source) as connection:
        ask(connection)
        connection.unwrap()


def _state(server: Process) -> Sequence[str]:
    place = Path(f"/proc/{server.pid}")
    counts = (sum(1 for _ in (place / name).iterdir()) for name in ("fd", "task"))
    return [f"{server.resident_kib() / 1024:.1f}", *map(str, counts)]


if __name__ == "__main__":
    main()
