"""The wall clock decides on certificates; how long anything may take is measured by another."""

import socket
import ssl
import time

import pytest

from mtls_server.tls.sockets import Limits
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.tls.conftest import Serve
from tests.unit.server.tls.harness import client_context, connect, dial, receive

YEAR = 365 * 86400


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_no_deadline_moves_when_the_clock_jumps(
    serve: Serve, world: World, billing: pki.Issued, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    server = serve(limits=Limits(first_byte_seconds=1.0))
    right = time.time
    began = time.monotonic()
    with (
        connect(server, client_context(world.server_authority, billing)) as connected,
        dial(server) as silent,
    ):
        monkeypatch.setattr(time, "time", lambda: right() + jump)
        assert talks(connected)
        assert ended(silent)
        assert time.monotonic() - began >= 0.9
        assert talks(connected)
    assert [failure.reason for failure in server.log.failures] == ["client sent nothing"]


def talks(connection: ssl.SSLSocket) -> bool:
    connection.sendall(b"hello")
    return receive(connection, 5) == b"hello"


def ended(connection: socket.socket) -> bool:
    return connection.recv(1) == b""
