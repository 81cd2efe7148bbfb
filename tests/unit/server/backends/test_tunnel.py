"""WebSockets that are passed on."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.unit.server import pki
from tests.unit.server.backends.chats import opened
from tests.unit.server.backends.origin import Origin, Visit, origin
from tests.unit.server.backends.test_websocket import OPENING, closing
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, Program, running

MESSAGE = "x" * 100_000
CUT_OFF = (
    "response cut off: the server behind this one closed the connection before its response was complete"
)


def chat(connection: ServerConnection) -> None:
    """Say what came, then echo; `/flood` talks without end."""
    assert connection.request is not None
    connection.send(f"{connection.request.path} {list(connection.request.headers.raw_items())}")
    while connection.request.path == "/flood":
        connection.send(MESSAGE)
    for message in connection:
        connection.send(message)


def refuse(connection: ServerConnection, request: Request) -> Response | None:
    return connection.respond(403, "members only\n") if request.path == "/refuse" else None


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(chat, "127.0.0.1", 0, process_request=refuse, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def program(world: World, tmp_path: Path, url: str) -> Iterator[Program]:
    with running(world, tmp_path, "upstream", url) as program:
        yield program
        for line in program.logs.all:
            assert "Traceback" not in str(line)


def test_bytes_pass_both_ways_and_the_server_is_told_who_calls(program: Program) -> None:
    with opened(
        program, "/chat?room=1", **{"X-Mtls-Roles": "forged", "X-Forwarded-For": "forged"}
    ) as websocket:
        seen = str(websocket.recv())
        assert seen.startswith("/chat?room=1 ")
        assert "('x-mtls-client', 'billing')" in seen
        assert "('host', 'orders')" in seen
        assert "forged" not in seen
        for message in ("hello", b"\x00\xff", MESSAGE):
            websocket.send(message)
            assert websocket.recv() == message
        assert websocket.ping().wait(PATIENCE)
    assert websocket.close_code == 1000


def test_a_refusal_is_passed_on(program: Program) -> None:
    with pytest.raises(InvalidStatus) as caught, opened(program, "/refuse"):
        pass
    assert caught.value.response.status_code == 403
    assert caught.value.response.body == b"members only\n"


def test_a_caller_that_loses_permission_is_closed_with_1008(program: Program, world: World) -> None:
    with opened(program) as websocket:
        websocket.recv()
        nobody = msgspec.structs.replace(pki.policy(world.client_authority), clients={})
        served = pki.server(world.server_authority)
        deliver(program.directory, pki.files(served, world.client_authority, granted=nobody))
        assert closing(websocket) == 1008


def test_sigterm_closes_with_1012(program: Program) -> None:
    with opened(program) as websocket:
        websocket.recv()
        assert program.stop() == 0
        assert closing(websocket) == 1012


def test_a_websocket_on_which_nothing_passes_is_closed_with_1001(
    world: World, tmp_path: Path, url: str
) -> None:
    arguments = ("upstream", url, "--websocket-timeout", "3")
    with running(world, tmp_path, *arguments) as program, opened(program) as websocket:
        websocket.recv()
        assert closing(websocket) == 1001


def test_a_caller_that_does_not_read_is_cut_in_the_middle_of_a_message(
    program: Program, world: World
) -> None:
    with program.connect() as connection:
        connection.send(OPENING.replace(b"/chat", b"/flood") + b"\r\n")
        assert connection.tls.recv(1 << 14).startswith(b"HTTP/1.1 101 ")
        nobody = msgspec.structs.replace(pki.policy(world.client_authority), clients={})
        served = pki.server(world.server_authority)
        deliver(program.directory, pki.files(served, world.client_authority, granted=nobody))
        program.logs.expect(event="connection_cut")
    assert program.get().status == 403


@pytest.fixture(scope="module")
def behind() -> Iterator[Origin]:
    with origin() as started:
        yield started


def answering(response: bytes) -> Callable[[Visit], None]:
    """Return the script of a server that answers so to a request."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.say(response)

    return script


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (b"", 502),
        (b"nonsense\r\n\r\n", 502),
    ],
)
def test_a_server_that_does_not_agree_opens_nothing(
    world: World, tmp_path: Path, behind: Origin, response: bytes, status: int
) -> None:
    behind.script = answering(response)
    with running(world, tmp_path, "upstream", behind.url) as program, program.connect() as connection:
        connection.send(OPENING + b"\r\n")
        answer = connection.answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert connection.ends_with_close_notify()


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nmembe",
        b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nmembe",
    ],
)
def test_a_refusal_that_breaks_off_is_cut_off(
    world: World, tmp_path: Path, behind: Origin, response: bytes
) -> None:
    behind.script = answering(response)
    with running(world, tmp_path, "upstream", behind.url) as program, program.connect() as connection:
        connection.send(OPENING + b"\r\n")
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            connection.read_until(b"502")
        program.logs.expect(event="upstream_failed", message=CUT_OFF)


@pytest.mark.parametrize("says_more", [False, True])
def test_whoever_does_not_await_the_agreement_ends_the_attempt(
    world: World,
    tmp_path: Path,
    behind: Origin,
    says_more: bool,  # noqa: FBT001 - a parameter
) -> None:
    asked, left = threading.Event(), threading.Event()

    def script(visit: Visit) -> None:
        visit.request()
        asked.set()
        with contextlib.suppress(EOFError):
            visit.read(1)
        left.set()

    behind.script = script
    with running(world, tmp_path, "upstream", behind.url, "--response-timeout", "1000") as program:
        with program.connect() as connection:
            connection.send(OPENING + b"\r\n")
            assert asked.wait(PATIENCE)
            if says_more:
                connection.send(b"early")
                assert connection.ends_with_close_notify()
        assert left.wait(PATIENCE)
        assert not program.logs.matching(event="upstream_failed")


def test_either_side_leaves_when_the_other_does(world: World, tmp_path: Path, behind: Origin) -> None:
    left = threading.Event()

    def script(visit: Visit) -> None:
        request = visit.request()
        visit.say(b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\nearly")
        if b"/leave" not in request.line:
            assert visit.read(4) == b"data"
            with contextlib.suppress(EOFError):
                visit.read(1)
            left.set()

    behind.script = script
    with running(world, tmp_path, "upstream", behind.url) as program:
        with program.connect() as connection:
            connection.send(OPENING + b"\r\n")
            assert b"upgrade: websocket\r\n" in connection.read_until(b"early")
            connection.send(b"data")
        assert left.wait(PATIENCE)
        assert "mtls_server_upstream_connections 0.0" in program.ask_admin("/metrics")[1]
        with program.connect() as connection:
            connection.send(OPENING.replace(b"/chat", b"/leave") + b"\r\n")
            connection.read_until(b"early")
            assert connection.ends_with_close_notify()
