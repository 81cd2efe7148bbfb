"""Handshakes that never end, more than there is room for: whoever means well is served all the same."""

import ssl
import threading
from contextlib import suppress

import pytest

from mtls_server.tls.failures import CLOSED, NOT_TLS, RESET, SILENT, SLOW, UNSUPPORTED_VERSION
from mtls_server.tls.sockets import Limits
from tests.unit.server import pki
from tests.unit.server.abuse import Swarm, abuses
from tests.unit.server.conftest import World
from tests.unit.server.tls.conftest import Serve
from tests.unit.server.tls.harness import TlsServer, client_context, connect, eventually, receive

LIMITS = Limits(handshakes=100, connections=200, crowded_hello_seconds=0.1, crowded_handshake_seconds=0.3)
ATTEMPTS = 5
WHEN_THE_SWARM_LEAVES = {RESET, CLOSED}
WHEN_THE_SWARM_IS_SLOW = {SILENT, SLOW}
"""On a machine under load it is so, whatever it means to do."""
REASONS = {
    "plain HTTP": NOT_TLS,
    "garbage": NOT_TLS,
    "connect and hold": SILENT,
    "TLS 1.1": UNSUPPORTED_VERSION,
    "handshake flood": RESET,
    "reset amid the handshake": RESET,
    "a byte at a time": SLOW,
    "half a handshake": SLOW,
}


def is_served(server: TlsServer, context: ssl.SSLContext) -> bool:
    """A machine under load may be too slow for the room that others leave; so clients try again."""
    for _ in range(ATTEMPTS):
        with suppress(OSError), connect(server, context) as tls:
            return talks(tls)
    return False


def talks(tls: ssl.SSLSocket) -> bool:
    tls.sendall(b"hello")
    return receive(tls, 5) == b"hello"


def reasons(server: TlsServer) -> set[str]:
    return {failure.reason for failure in list(server.log.failures)}


@pytest.mark.parametrize("name", REASONS)
def test_who_means_well_is_served_during(serve: Serve, world: World, billing: pki.Issued, name: str) -> None:
    server = serve(limits=LIMITS)
    context = client_context(world.server_authority, billing)
    done = threading.Event()
    swarm = Swarm(abuses()[name], ("127.0.0.1", server.port), LIMITS.connections)
    abusing = threading.Thread(target=swarm.run, args=(60, done))
    with connect(server, context) as connected:
        abusing.start()
        try:
            eventually(lambda: REASONS[name] in reasons(server))
            for _ in range(2):
                assert talks(connected)
                assert is_served(server, context)
        finally:
            done.set()
            abusing.join()
        eventually(lambda: server.listener.connections == 1)
        assert talks(connected)
    assert reasons(server) <= {REASONS[name], *WHEN_THE_SWARM_LEAVES, *WHEN_THE_SWARM_IS_SLOW}


def test_every_abuse_is_tried() -> None:
    assert REASONS.keys() == abuses().keys()
