"""Measures this server beside others: ``make bench-server``.

Each server runs on one core and the load client on another; rounds are interleaved, so that what else the
machine does falls on all of them. All answer with the same facts, as JSON, under one key exchange.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from mtls_server.contract import Route
from tests.bench import measure, options, reloads, report
from tests.bench.contenders import OURS, Contender, Place, contenders, ours, plain
from tests.bench.processes import CLIENT_CORE, free_port, running
from tests.unit.server import kubelet, pki

WARM_UP_SECONDS = 0.3
ROTATED = 4
"""Deliveries that take turns in the reloads."""


def main() -> None:
    given = _arguments()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        directory, upstream = Path(folder), free_port()
        place = Place(directory, given.python, f"http://127.0.0.1:{upstream}")
        deliveries = _deliveries(directory)
        client = measure.compile_load_client(directory, given.group)
        stack.enter_context(running("upstream", plain(given.python, upstream), upstream))
        entrants = [one for one in contenders(place) if given.only in one.name]
        results = [measure.Result(one.name) for one in entrants]
        _measure_memory(client, entrants, results, given.idle)
        _measure_load(client, entrants, results, given)
        reloaded = _measure_reloads(client, place, deliveries, given.reloads) if given.reloads else None
    print(report.markdown(results, reloaded))
    if given.write:
        report.insert(report.markdown(results, reloaded))
        report.PLOT.write_text(report.plot(results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.server", description=__doc__, parents=[options.PYTHON, options.WRITE]
    )
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="of a measurement (default: %(default)g)")
    parser.add_argument("--idle", type=int, default=2000, help="connections held (default: %(default)s)")
    parser.add_argument("--reloads", type=int, default=1000, help="under load (default: %(default)s)")
    parser.add_argument("--group", default="X25519", help="of the key exchange (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="WORD", help="servers with that in their name")
    return parser.parse_args()


def _deliveries(directory: Path) -> Sequence[Mapping[str, bytes]]:
    """Write what servers and clients read, and return deliveries that differ in the served certificate."""
    server_authority, client_authority = pki.authority("server authority"), pki.authority("client authority")
    policy = msgspec.structs.replace(
        pki.policy(client_authority), routes=(Route("/admin/**", roles=("admin",)), Route("/**", ("GET",)))
    )
    deliveries = [
        pki.files(pki.server(server_authority), client_authority, granted=policy) for _ in range(ROTATED)
    ]
    for name, contents in deliveries[0].items():
        (directory / name).write_bytes(contents)
    client = pki.client(client_authority)
    (directory / "client.pem").write_bytes(client.pem + client.key_pem)
    (directory / "server-authority.pem").write_bytes(server_authority.pem)
    return deliveries


def _measure_memory(
    client: measure.LoadClient,
    entrants: Sequence[Contender],
    results: Sequence[measure.Result],
    idle: int,
) -> None:
    for entrant, result in zip(entrants, results, strict=True):
        _say(f"idle connections: {entrant.name}")
        port = free_port()
        with running(entrant.name, entrant.command(port), port) as server:
            result.kib_per_connection = measure.measure_memory(client, server, idle)


def _measure_load(
    client: measure.LoadClient,
    entrants: Sequence[Contender],
    results: Sequence[measure.Result],
    given: argparse.Namespace,
) -> None:
    with contextlib.ExitStack() as stack:
        servers = []
        for entrant in entrants:
            port = free_port()
            started = running(entrant.name, entrant.command(port), port)
            servers.append(stack.enter_context(started))
        for server in servers:
            for mode in measure.MODES:
                client.load(server.port, mode, WARM_UP_SECONDS)
        for number in range(given.rounds):
            for mode in measure.MODES:
                for result, server in zip(results, servers, strict=True):
                    _say(f"round {number + 1} of {given.rounds}: {mode}, {result.name}")
                    measure.measure_load(client, result, server, mode, given.seconds)


def _measure_reloads(
    client: measure.LoadClient, place: Place, deliveries: Sequence[Mapping[str, bytes]], wanted: int
) -> reloads.Reloads:
    """Mount in memory, as kubelet mounts Secrets: journals of a disk would keep both cores busy."""
    _say(f"{wanted} reloads")
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        mounted, port = Path(memory) / "mounted", free_port()
        kubelet.deliver(mounted, deliveries[0])
        entrant = ours(replace(place, directory=mounted), "identity")
        with running(OURS, entrant.command(port), port):
            return reloads.measure_reloads(client, port, mounted, deliveries, wanted)


def _say(progress: str) -> None:
    print(f"\r{progress:<79}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
