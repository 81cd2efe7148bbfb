"""Measures how soon connections are cut after a revocation is in the file: ``make bench-revocation``.

They are revoked all at once, first as connections of one caller and then of as many as there are, while a few
others keep asking on connections of their own.
"""

import argparse
import os
import selectors
import ssl
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mtls_server.contract import Client, Policy
from tests.bench.caller import PATIENCE_SECONDS, ask, connect
from tests.bench.processes import free_port, pinned, running
from tests.bench.server import CLIENT_CORE, ENVIRONMENT, SERVER_CORE
from tests.unit.server import kubelet, pki

UNRELATED = 4
"""Connections of callers that are not revoked."""


@dataclass
class Unrelated:
    """A caller that keeps asking, and how long each answer took."""

    connection: ssl.SSLSocket
    seconds: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        while not self._stop.wait(0.01):
            start = time.perf_counter()
            ask(self.connection)
            self.seconds.append(time.perf_counter() - start)

    def stop(self) -> None:
        self._stop.set()


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
    parser = argparse.ArgumentParser(prog="python -m tests.bench.revocation", description=__doc__)
    parser.add_argument("--python", required=True, help="runs the server")
    parser.add_argument("--connections", type=int, default=1000, help="(default: %(default)s)")
    return parser.parse_args()


def measure(python: str, connections: int, callers: int) -> tuple[Sequence[float], float]:
    """Return the seconds from delivery to the end of each connection, and the longest that others waited."""
    server_authority, client_authority = pki.authority(), pki.authority()
    names = [f"caller-{number}" for number in range(callers)]
    policy = _granting(client_authority, names)
    served = pki.server(server_authority)
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        certs = directory / "certs"
        kubelet.deliver(certs, pki.files(served, client_authority, granted=policy))
        command = [python, "-m", "mtls_server", "--dir", str(certs), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--admin-port", str(port + 1), "identity"]
        with running("mtls-server", command, port, pinned(SERVER_CORE), ENVIRONMENT):
            contexts = [_context(server_authority, client_authority, name, directory) for name in names]
            revoked = [connect_and_ask(port, contexts[number % callers]) for number in range(connections)]
            stays = _context(server_authority, client_authority, "stays", directory)
            others = [Unrelated(connect_and_ask(port, stays)) for _ in range(UNRELATED)]
            threads = [threading.Thread(target=one.ask) for one in others]
            for thread in threads:
                thread.start()
            now = datetime.now(UTC)
            revoking = msgspec.structs.replace(policy, revoked={_uri(name): now for name in names})
            files = pki.files(served, client_authority, granted=revoking)
            start = time.perf_counter()
            kubelet.deliver(certs, files)
            cut = [moment - start for moment in ends(revoked)]
            for one, thread in zip(others, threads, strict=True):
                one.stop()
                thread.join()
            for connection in (*revoked, *(one.connection for one in others)):
                connection.close()
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


def connect_and_ask(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    connection = connect(port, context)
    ask(connection)
    return connection


def _granting(own: pki.Issued, names: Sequence[str]) -> Policy:
    clients = {_uri(name): Client(name) for name in (*names, "stays")}
    return msgspec.structs.replace(pki.policy(own), clients=clients)


def _context(server: pki.Issued, client: pki.Issued, name: str, directory: Path) -> ssl.SSLContext:
    caller = pki.client(client, uri=_uri(name), common_name=name)
    return pki.client_context(server, caller, directory)


def _uri(name: str) -> str:
    return f"spiffe://cluster.local/ns/shop/mtlsservice/orders/client/{name}"


if __name__ == "__main__":
    main()
