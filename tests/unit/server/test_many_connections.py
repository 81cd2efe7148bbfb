"""One process stays as it is, however many connections come and go; ``make bench-flat`` counts to 100,000."""

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import PATIENCE, Program, running
from tests.unit.server.tls.harness import eventually

CONNECTIONS = 500
"""So many before memory and descriptors are read, and as many after."""


def test_descriptors_and_memory_are_flat(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity") as program:
        context = pki.client_context(world.server_authority, pki.client(world.client_authority), tmp_path)
        assert program.port
        idle = program.descriptors()
        come_and_go(program, context)
        eventually(lambda: program.descriptors() <= idle)
        before = program.resident()
        come_and_go(program, context)
        eventually(lambda: program.descriptors() <= idle)
        assert program.resident() - before < 3


def come_and_go(program: Program, context: ssl.SSLContext) -> None:
    def ask(_: int) -> bool:
        with (
            socket.create_connection(("127.0.0.1", program.port), PATIENCE) as raw,
            context.wrap_socket(raw, server_hostname=pki.SERVER_NAMES[0]) as connection,
        ):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
            return connection.recv(65536).startswith(b"HTTP/1.1 200")

    with ThreadPoolExecutor(4) as executor:
        assert all(executor.map(ask, range(CONNECTIONS)))
