"""WebSockets of ASGI applications."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mtls_server.backends.websocket import MAX_FRAMES
from mtls_server.contract import Route
from tests.unit.server import pki
from tests.unit.server.backends.chats import opened
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, Connection, Program, running

OPENING = (
    b"GET /chat HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    directory = tmp_path_factory.mktemp("program")
    with running(world, directory, "asgi", "tests.unit.server.apps:chat") as program:
        yield program
        for line in program.logs.all:
            assert "Traceback" not in str(line)


def test_an_application_talks_and_sees_who_calls(program: Program) -> None:
    with opened(program, "/chat?room=1", **{"X-Mtls-Client": "forged", "Client_Cert": "forged"}) as websocket:
        seen = websocket.recv()
        assert "forged" not in seen
        assert "'path': '/chat'" in seen
        assert "'query_string': b'room=1'" in seen
        assert "'client': 'billing'" in seen
        assert "'scheme': 'wss'" in seen
        assert "'client_cert_name': 'CN=billing'" in seen
        websocket.send("hello")
        assert websocket.recv() == "hello"
        websocket.send(b"\x00\xff")
        assert websocket.recv() == b"\x00\xff"


def test_pings_are_answered(program: Program) -> None:
    with opened(program) as websocket:
        assert websocket.ping().wait(PATIENCE)


def test_a_message_may_be_long_and_in_many_frames(program: Program) -> None:
    with opened(program) as websocket:
        websocket.recv()
        websocket.send(b"a" * (1 << 20))
        assert len(websocket.recv()) == 1 << 20
        websocket.send(["a"] * (MAX_FRAMES - 1))  # and an empty one, as the last
        assert websocket.recv() == "a" * (MAX_FRAMES - 1)


def frame(opcode: int, length: int) -> bytes:
    """What begins a masked frame that is not the last of its message (RFC 6455 §5.2)."""
    return bytes([opcode, 0xFF]) + length.to_bytes(8) + bytes(4)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param(frame(1, (1 << 20) + 1), 1009, id="too long"),
        pytest.param(frame(1, 1) + b"a" + (frame(0, 1) + b"a") * MAX_FRAMES, 1008, id="too many frames"),
        pytest.param(frame(1, 0) + frame(0, 0) * MAX_FRAMES, 1008, id="too many empty frames"),
    ],
)
def test_a_message_that_takes_too_much_memory_closes(program: Program, frames: bytes, code: int) -> None:
    with program.connect() as connection:
        connection.send(OPENING + b"\r\n")
        seen = connection.tls.recv(12)
        assert seen == b"HTTP/1.1 101"
        connection.send(frames)  # to its last byte, or a client still sending might not hear why
        while piece := connection.tls.recv(65536):
            seen += piece
    closing_frame = seen[seen.rindex(b"\x88") :]
    assert int.from_bytes(closing_frame[2:4]) == code


def send_without_end(connection: Connection, frame: bytes) -> None:
    """Up to 256 MiB, which fit into no buffer of the kernel."""
    for _ in range(1 << 11):
        connection.send(frame * ((1 << 17) // len(frame)))


def test_a_caller_that_sends_pings_and_does_not_read_is_read_no_further(program: Program) -> None:
    with program.connect() as connection:
        connection.send(OPENING + b"\r\n")
        assert connection.tls.recv(12) == b"HTTP/1.1 101"
        connection.tls.settimeout(1)
        with pytest.raises(TimeoutError):
            send_without_end(connection, b"\x89\xfd" + bytes(4) + b"p" * 125)
    assert program.get().status == 404


def test_requests_may_come_before_the_websocket(program: Program) -> None:
    with program.connect() as connection:
        assert connection.get().status == 404
        with connect("ws://orders/chat", sock=connection.tls, compression=None) as websocket:
            assert "billing" in str(websocket.recv())


def test_an_application_may_refuse(program: Program) -> None:
    with pytest.raises(InvalidStatus) as caught, opened(program, "/refuse"):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (OPENING + b"Content-Length: 0\r\n\r\n", 501),
        (OPENING + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (OPENING.replace(b"GET", b"POST") + b"\r\n", 501),
        (OPENING.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", 501),
        (OPENING.replace(b"Upgrade: websocket", b"Upgrade: h2c") + b"\r\n", 501),
        (OPENING.replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket") + b"\r\n", 501),
        (OPENING.replace(b"/chat", b"https://orders/chat") + b"\r\n", 501),
        (OPENING + b"Host: other\r\n\r\n", 400),
        (OPENING + b"\r\nearly", 400),
        (OPENING.replace(b"Version: 13", b"Version: 7") + b"\r\n", 400),
        (OPENING.replace(b"Sec-WebSocket-Key", b"Key") + b"\r\n", 400),
        (OPENING + b"A: " + b"a" * 10_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_opens_no_websocket_is_refused(program: Program, request_bytes: bytes, status: int) -> None:
    with program.connect() as connection:
        connection.send(request_bytes)
        assert connection.answer().status == status
        assert connection.ends_with_close_notify()


def test_a_websocket_behind_a_request_that_is_not_answered_yet_is_refused(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n" + OPENING + b"\r\n")
        assert connection.ends_with_close_notify()


def closing(websocket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as caught:
        websocket.recv(timeout=PATIENCE)
    return caught.value.rcvd.code if caught.value.rcvd else None


def give(program: Program, **changes: object) -> None:
    world = program.world
    policy = msgspec.structs.replace(pki.policy(world.client_authority), **changes)
    served = pki.server(world.server_authority)
    deliver(program.directory, pki.files(served, world.client_authority, granted=policy))


def test_a_revoked_caller_is_cut_off(world: World, tmp_path: Path) -> None:
    arguments = ("asgi", "tests.unit.server.apps:chat")
    with running(world, tmp_path, *arguments) as program, opened(program) as websocket:
        websocket.recv()
        give(program, revoked={pki.BILLING_URI: pki.NOW})
        assert closing(websocket) in {None, 1008}
        assert program.logs.expect(event="connection_cut")["reason"] == "revoked"


def test_a_caller_whose_route_is_taken_away_is_closed_with_1008(world: World, tmp_path: Path) -> None:
    arguments = ("asgi", "tests.unit.server.apps:chat")
    with running(world, tmp_path, *arguments) as program, opened(program) as websocket:
        websocket.recv()
        give(program, routes=(Route("/chat", roles=("reader",)),))
        program.logs.expect(event="generation_published", generation=2)
        websocket.send("still here")
        assert websocket.recv() == "still here"
        give(program, routes=(Route("/chat", roles=("admin",)),))
        assert closing(websocket) == 1008
        assert program.logs.expect(event="connection_cut")["reason"] == "forbidden"


def test_a_caller_that_loses_permission_is_closed_with_1008(world: World, tmp_path: Path) -> None:
    arguments = ("asgi", "tests.unit.server.apps:chat")
    with running(world, tmp_path, *arguments) as program, opened(program) as websocket:
        websocket.recv()
        deliver(program.directory, world.files())
        program.logs.expect(event="generation_published", generation=2)
        websocket.send("still here")
        assert websocket.recv() == "still here"
        nobody = msgspec.structs.replace(pki.policy(world.client_authority), clients={})
        served = pki.server(world.server_authority)
        deliver(program.directory, pki.files(served, world.client_authority, granted=nobody))
        assert closing(websocket) == 1008


def test_sigterm_closes_with_1012(world: World, tmp_path: Path) -> None:
    arguments = ("asgi", "tests.unit.server.apps:chat")
    with running(world, tmp_path, *arguments) as program, opened(program) as websocket:
        websocket.recv()
        assert program.stop() == 0
        assert closing(websocket) == 1012


def test_a_backend_without_websockets_opens_none(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity") as program, program.connect() as connection:
        connection.send(OPENING + b"\r\n")
        answer = connection.answer()
    assert (answer.status, answer.reason) == (501, "upgrade_not_supported")
