"""Measures how soon connections are cut after a revocation is in the file: ``make bench-revocation``.

They are revoked all at once, first as connections of one caller and then of as many as there are, while a few
others keep asking on connections of their own.
"""

import argparse
import contextlib
import os
import selectors
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from tests.bench import options
from tests.bench.caller import PATIENCE_SECONDS, ask, connect, serving
from tests.bench.processes import CLIENT_CORE
from tests.unit.server import kubelet, pki

UNRELATED = 4
"""Connections of callers that are not revoked."""


@dataclass
class Unrelated:
    """A caller that keeps asking, and how long each answer took."""

    connection: ssl.SSLSocket
    seconds: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Keep asking meanwhile."""
        enough = threading.Event()
        thread = threading.Thread(target=self._ask_until, args=(enough,))
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()

    def _ask_until(self, enough: threading.Event) -> None:
        while not enough.wait(0.01):
            start = time.perf_counter()
            ask(self.connection)
            self.seconds.append(time.perf_counter() - start)


def main() -> None:
    given = _arguments()
    os.sched_setaffinity(0, {CLIENT_CORE})
    for callers in (1, given.connections):
        cut, slowest = measure(given.python, given.connections, callers)
        print(
            f"{given.connections} connections of {callers} callers: the first was cut after"
            f" {cut[0] * 1000:.0f} ms, half after {cut[len(cut) // 2] * 1000:.0f} ms, the last after"
            f" {cut[-1] * 1000:.0f} ms; meanwhile others waited at most {slowest * 1000:.0f} ms"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.revocation", description=__doc__, parents=[options.PYTHON]
    )
    parser.add_argument("--connections", type=int, default=1000, help="(default: %(default)s)")
    return parser.parse_args()


def measure(python: str, connections: int, callers: int) -> tuple[Sequence[float], float]:
    """Return the seconds from delivery to the end of each connection, and the longest that others waited."""
    uris = [f"{pki.BILLING_URI}-{number}" for number in range(callers)]
    with serving(python, *uris) as (server, mounted), contextlib.ExitStack() as stack:

        def connected(context: ssl.SSLContext) -> ssl.SSLSocket:
            connection = stack.enter_context(connect(server.port, context))
            ask(connection)
            return connection

        contexts = [mounted.context(uri) for uri in uris]
        revoked = [connected(contexts[number % callers]) for number in range(connections)]
        stays = mounted.context()
        others = [Unrelated(connected(stays)) for _ in range(UNRELATED)]
        now = datetime.now(UTC)
        files = mounted.files(msgspec.structs.replace(mounted.policy, revoked=dict.fromkeys(uris, now)))
        with contextlib.ExitStack() as asking:
            for one in others:
                asking.enter_context(one.asking())
            start = time.perf_counter()
            kubelet.deliver(mounted.certs, files)
            cut = [moment - start for moment in ends(revoked)]
    return cut, max(max(one.seconds) for one in others)


def ends(connections: Sequence[ssl.SSLSocket]) -> Sequence[float]:
    """Wait until the server has ended each of the connections, and return when."""
    moments = []
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while selector.get_map():
            ready = selector.select(max(0, deadline - time.perf_counter()))
            assert ready, f"{len(selector.get_map())} connections are open still"
            moment = time.perf_counter()
            for key, _ in ready:
                moments.append(moment)
                selector.unregister(key.fileobj)
    assert all(connection.recv(1) == b"" for connection in connections)
    return moments


if __name__ == "__main__":
    main()
