"""What is no TLS, or TLS that breaks its rules: it ends soon, in one line and one count, and harms nobody."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from mtls_server.tls.sockets import Limits
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.malformed import (
    AN_ALERT,
    BAD_RECORD,
    BODY,
    ENCRYPTED,
    HELLO,
    HELLO_1_2,
    NOT_TLS,
    RESET,
    ROWS,
    Row,
    hello_of_length,
)
from tests.unit.server.program import PATIENCE, Connection, Program, running
from tests.unit.server.tls import harness, native
from tests.unit.server.tls.harness import eventually, reset
from tests.unit.server.tls.harness import running as serving
from tests.unit.server.tls.wire import ALERT, APPLICATION_DATA, HANDSHAKE, record


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(world, tmp_path_factory.mktemp("program"), "--min-version", "1.2", "identity") as program:
        yield program
        assert program.process.poll() is None


@pytest.fixture(scope="module")
def honest(program: Program) -> Iterator[Connection]:
    """A caller that keeps its connection all the while."""
    with program.connect() as connection:
        yield connection


def dial(program: Program) -> socket.socket:
    return socket.create_connection(("127.0.0.1", program.port), PATIENCE)


def send(raw: socket.socket, sent: bytes) -> None:
    """Send, and nothing more; the server may have closed before that is done."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)


def received(raw: socket.socket) -> bytes:
    """Read to the end, which must come within the patience of the socket."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := raw.recv(1 << 16):
            data += piece
    return data


def last_alert(data: bytes) -> int | None:
    """Return the description of the alert that ends the server's records, if it is one in clear."""
    kind, contents = 0, b""
    while data:
        kind, size = data[0], int.from_bytes(data[3:5])
        contents, data = data[5 : 5 + size], data[5 + size :]
    return contents[1] if kind == ALERT and len(contents) == 2 else None


def expect_one_failure(program: Program, raw: socket.socket, reason: str, before: int) -> None:
    host, port = raw.getsockname()
    peer = f"{host}:{port}"
    line = program.logs.expect(event="handshake_failed", peer=peer, after=before)
    assert line["reason"] == reason
    assert [one for one in program.logs.all[before:] if one.get("peer") == peer] == [line]


def counted(reason: str) -> dict[str, int]:
    return {f'mtls_server_handshakes_total{{reason="{reason}",result="failed",version=""}}': 1}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_ends_in_one_line_and_one_count(program: Program, honest: Connection, row: Row) -> None:
    counts, lines = program.counts(), len(program.logs.all)
    with dial(program) as raw:
        send(raw, row.sent)
        assert honest.get().status == 200
        seen = received(raw)
        expect_one_failure(program, raw, row.reason, lines)
    assert program.counts() - counts == counted(row.reason)
    if row.alert != ENCRYPTED:
        assert last_alert(seen) == row.alert


PHASES = {
    "before it began": b"",
    "amid its ClientHello": HELLO.record[:50],
    "behind its ClientHello": HELLO.record,
    "behind its ClientHello of TLS 1.2": HELLO_1_2.record,
}


@pytest.mark.parametrize("phase", PHASES)
def test_who_resets_the_connection_is_told_apart(program: Program, honest: Connection, phase: str) -> None:
    counts, lines = program.counts(), len(program.logs.all)
    with dial(program) as raw:
        host, port = raw.getsockname()
        raw.sendall(PHASES[phase])
        if phase.startswith("behind"):
            assert raw.recv(1)
        reset(raw)
    line = program.logs.expect(event="handshake_failed", peer=f"{host}:{port}", after=lines)
    assert line["reason"] == RESET
    assert honest.get().status == 200
    assert program.counts() - counts == counted(RESET)


def send_all_rows(program: Program) -> None:
    for row in ROWS:
        with dial(program) as raw:
            send(raw, row.sent)
            received(raw)


def test_nothing_of_it_stays(program: Program, honest: Connection) -> None:
    assert honest.get().status == 200
    for _ in range(2):
        send_all_rows(program)
    before = program.descriptors(), program.resident()
    for _ in range(8):
        send_all_rows(program)
    eventually(lambda: program.descriptors() <= before[0])
    assert program.resident() - before[1] < 8
    assert honest.get().status == 200


# After the handshake


def connect(program: Program, version: ssl.TLSVersion) -> Connection:
    caller = pki.client(program.world.client_authority)
    context = pki.client_context(program.world.server_authority, caller, program.directory.parent)
    context.maximum_version = version
    tls = context.wrap_socket(dial(program), server_hostname="orders", suppress_ragged_eofs=False)
    return Connection(tls, caller)


def test_a_flood_of_key_updates_keeps_nobody_waiting(program: Program, honest: Connection) -> None:
    with connect(program, ssl.TLSVersion.TLSv1_3) as flooding:
        for _ in range(10):
            for _ in range(100):
                assert native.request_key_update(flooding.tls)
            assert honest.get().status == 200
        assert flooding.get().status == 200


def test_nobody_negotiates_anew(program: Program, honest: Connection) -> None:
    counts = program.counts()
    with connect(program, ssl.TLSVersion.TLSv1_2) as connection:
        assert connection.get().status == 200
        assert not native.renegotiate(connection.tls)
        with pytest.raises(ssl.SSLError, match="no renegotiation"):
            connection.get()
    assert honest.get().status == 200
    handshakes = program.counts() - counts
    assert handshakes['mtls_server_handshakes_total{reason="",result="ok",version="TLSv1.2"}'] == 1


@pytest.mark.parametrize("sent", [record(APPLICATION_DATA, bytes(500)), AN_ALERT, HELLO.record])
def test_what_is_not_encrypted_ends_the_connection(program: Program, honest: Connection, sent: bytes) -> None:
    counts, lines = program.counts(), len(program.logs.all)
    with connect(program, ssl.TLSVersion.TLSv1_3) as connection:
        socket.socket.sendall(connection.tls, sent)
        with pytest.raises(ssl.SSLError, match="alert"):
            connection.tls.recv(1)
        host, port = connection.tls.getsockname()
        line = program.logs.expect(event="connection_failed", peer=f"{host}:{port}", after=lines)
    assert line["reason"] in {BAD_RECORD, NOT_TLS}
    failed = program.counts() - counts
    assert failed[f'mtls_server_failed_connections_total{{reason="{line["reason"]}"}}'] == 1
    assert honest.get().status == 200


# Without an end


LONGER = hello_of_length(len(BODY) + 1)


@pytest.mark.parametrize("held", [record(HANDSHAKE, b""), HELLO.record[:50], HELLO.record, LONGER])
def test_who_waits_for_ever_is_dropped_at_the_deadline(world: World, held: bytes) -> None:
    with serving("uvloop", world.generation(), limits=Limits(handshake_seconds=1)) as server:
        with harness.dial(server) as raw:
            raw.sendall(held)
            received(raw)
        assert server.failure().reason == "handshake took longer than 1 s"


def test_who_dribbles_is_dropped_at_the_deadline(world: World) -> None:
    with serving("uvloop", world.generation(), limits=Limits(handshake_seconds=1)) as server:
        with harness.dial(server) as raw, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for octet in HELLO.record:
                raw.sendall(bytes([octet]))
                time.sleep(0.02)
        assert server.failure().reason == "handshake took longer than 1 s"
