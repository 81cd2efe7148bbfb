"""Requests that are passed on, and what becomes of them when the server behind does not behave."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.backends.origin import OK, Origin, Visit, origin
from tests.unit.server.conftest import World
from tests.unit.server.program import PATIENCE, Program, running

HEAD = b"HTTP/1.1 200 OK\r\n"
POST = b"POST / HTTP/1.1\r\nHost: orders\r\n"
PIECE = b"x" * 65536


@pytest.fixture(scope="module")
def behind() -> Iterator[Origin]:
    with origin() as started:
        yield started


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory, behind: Origin) -> Iterator[Program]:
    short = ("--response-timeout", "2", "--idle-timeout", "2")
    with running(world, tmp_path_factory.mktemp("program"), "upstream", behind.url, *short) as program:
        yield program
        for line in program.logs.all:
            assert "Exception" not in str(line)


@pytest.fixture(autouse=True)
def answers_ok(behind: Origin) -> None:
    behind.forget()
    behind.answer()


def test_a_request_is_passed_on_and_its_response_back(program: Program, behind: Origin) -> None:
    behind.answer(b"HTTP/1.1 201 Made\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nok")
    with program.connect() as connection:
        answer = connection.get("/a%2Db?c=%20d")
        der = connection.caller.der
    assert (answer.status, answer.body) == (201, b"ok")
    assert answer.headers["x-a"] == "2"
    assert behind.last.line == b"GET /a%2Db?c=%20d HTTP/1.1"
    assert behind.last.values("host") == ["orders"]
    assert behind.last.values("client-cert") == [f":{base64.b64encode(der).decode()}:"]
    assert behind.last.values("x-mtls-client") == ["billing"]
    assert behind.last.values("x-mtls-roles") == ["reader"]
    assert behind.last.values("x-forwarded-for") == ["127.0.0.1"]


@pytest.mark.parametrize("target", ["https://orders/a?b", "https://orders/a?", "/a??", "/?"])
def test_a_target_is_passed_on_as_it_was_judged(program: Program, behind: Origin, target: str) -> None:
    with program.connect() as connection:
        connection.send(f"GET {target} HTTP/1.1\r\nHost: orders\r\n\r\n".encode())
        assert connection.answer().status == 200
    assert behind.last.line == f"GET {target.removeprefix('https://orders')} HTTP/1.1".encode()


@pytest.mark.parametrize("name", ["Client-Cert", "cLIENT_cERT", "X-Forwarded-Client-Cert", "X_Mtls_Roles"])
def test_a_forged_field_never_arrives(program: Program, behind: Origin, name: str) -> None:
    field = f"{name}: forged\r\n".encode()
    with program.connect() as connection:
        connection.send(POST + b"Connection: " + name.encode() + b"\r\n" + field)
        connection.send(b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + field + b"\r\n")
        assert connection.answer().status == 200
    assert "forged" not in str(behind.last)
    assert behind.last.body == b"hi"
    for ours in ("client-cert", "x-forwarded-client-cert", "x-mtls-roles"):
        assert len(behind.last.values(ours)) == 1


@pytest.mark.parametrize(
    ("framed", "field"),
    [
        (b"Content-Length: 5\r\n\r\nhello", ("content-length", "5")),
        (
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            ("transfer-encoding", "chunked"),
        ),
    ],
)
def test_a_body_is_passed_on(program: Program, behind: Origin, framed: bytes, field: tuple[str, str]) -> None:
    with program.connect() as connection:
        connection.send(POST + framed)
        assert connection.answer().status == 200
    assert behind.last.body == b"hello"
    assert field in behind.last.fields


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_request_within_a_body_is_none(program: Program, behind: Origin, framing: str) -> None:
    smuggled = b"GET /admin HTTP/1.1\r\nHost: orders\r\n\r\n"
    framed = {
        "length": b"Content-Length: %d\r\n\r\n%b" % (len(smuggled), smuggled),
        "chunks": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled),
    }
    with program.connect() as connection:
        connection.send(POST + framed[framing])
        assert connection.answer().status == 200
        assert connection.get("/next").status == 200
    assert [request.line for request in behind.requests] == [b"POST / HTTP/1.1", b"GET /next HTTP/1.1"]
    assert behind.requests[0].body == smuggled


def test_a_body_that_is_coded_is_refused(program: Program, behind: Origin) -> None:
    with program.connect() as connection:
        connection.send(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
        answer = connection.answer()
    assert (answer.status, answer.reason) == (501, "transfer_coding_not_supported")
    assert behind.requests == []


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nDigest: x\r\n\r\n", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
    ],
)
def test_any_framing_of_a_response_is_understood(
    program: Program, behind: Origin, response: bytes, body: bytes
) -> None:
    behind.answer(response)
    with program.connect() as connection:
        assert [connection.get().body for _ in range(3)] == [body] * 3
    assert behind.visits == 1


def test_a_response_to_head_has_a_length_and_no_body(program: Program, behind: Origin) -> None:
    behind.answer(HEAD + b"Content-Length: 500\r\n\r\n")
    with program.connect() as connection:
        for _ in range(3):
            connection.send(b"HEAD / HTTP/1.1\r\nHost: orders\r\n\r\n")
            answer = connection.answer("HEAD")
            assert (answer.headers["content-length"], answer.body) == ("500", b"")
    assert behind.visits == 1


def test_a_response_that_ends_with_its_connection_is_whole(program: Program, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.say(HEAD + b"\r\nhello")

    behind.script = script
    with program.connect() as connection:
        assert [connection.get().body for _ in range(2)] == [b"hello"] * 2
    assert behind.visits == 2


def test_callers_share_connections(program: Program, behind: Origin) -> None:
    for _ in range(5):
        assert program.get().status == 200
    assert behind.visits == 1


def test_a_body_is_passed_on_piece_by_piece(program: Program, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        visit.head()
        visit.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while size := int(visit.until(b"\r\n"), 16):
            piece = visit.read(size + 2)
            visit.say(b"%x\r\n%b" % (size, piece))
        visit.say(b"0\r\n\r\n")

    behind.script = script
    with program.connect() as connection:
        connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert b"1\r\na\r\n" in connection.read_until(b"a\r\n")
        connection.send(b"1\r\nb\r\n")
        assert connection.read_until(b"b\r\n") == b"1\r\nb\r\n"
        connection.send(b"0\r\n\r\n")
        assert connection.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"


def test_a_caller_that_does_not_read_holds_the_server_back(program: Program, behind: Origin) -> None:
    total, said = 64 << 20, 0

    def script(visit: Visit) -> None:
        nonlocal said
        visit.request()
        visit.say(HEAD + b"Content-Length: %d\r\n\r\n" % total)
        while said < total:
            visit.say(PIECE)
            said += len(PIECE)

    behind.script = script
    with program.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
        time.sleep(3)  # the server behind may not be silent so long, but it is the caller that is slow
        assert said < total // 2
        assert len(connection.answer().body) == total


def test_a_server_that_does_not_read_holds_the_caller_back(
    world: World, tmp_path: Path, behind: Origin
) -> None:
    go_on = threading.Event()

    def script(visit: Visit) -> None:
        request = visit.head()
        go_on.wait(PATIENCE)
        visit.read(int(request.values("content-length")[0]))
        visit.say(OK)

    behind.script = script
    with running(world, tmp_path, "upstream", behind.url) as program, program.connect() as connection:
        total = 64 << 20
        connection.send(POST + b"Content-Length: %d\r\n\r\n" % total)
        connection.tls.settimeout(0.3)
        sent = 0
        with contextlib.suppress(TimeoutError, ssl.SSLWantWriteError):
            while sent < total:
                sent += connection.tls.send(PIECE)
        assert sent < total // 2
        go_on.set()
        connection.tls.settimeout(PATIENCE)
        while sent < total:
            sent += connection.tls.send(PIECE)
        assert connection.answer().status == 200


def test_a_server_that_never_reads_is_given_up(program: Program, behind: Origin) -> None:
    given_up = threading.Event()

    def script(visit: Visit) -> None:
        visit.head()
        given_up.wait(PATIENCE)

    behind.script = script
    with program.connect() as connection:
        connection.send(POST + b"Content-Length: %d\r\n\r\n" % (64 << 20))
        connection.tls.settimeout(5)
        with contextlib.suppress(OSError):
            for _ in range(1 << 10):
                connection.tls.send(PIECE)
        answer = connection.answer()
    given_up.set()
    assert (answer.status, answer.reason) == (504, "upstream_stalled")


def test_a_response_may_come_before_the_request_is_whole(program: Program, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        visit.head()
        visit.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    behind.script = script
    with program.connect() as connection:
        connection.send(POST + b"Content-Length: 10\r\n\r\nhello")
        assert connection.answer().status == 413
        behind.answer()
        connection.send(b"world")
        assert connection.get().status == 200
    assert behind.visits == 2


def test_a_kept_connection_that_has_ended_costs_a_get_nothing(program: Program, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        behind.requests.append(visit.request())
        visit.say(OK)
        visit.until(b"\r\n\r\n")
        visit.reset()

    behind.script = script
    with program.connect() as connection:
        assert connection.get().status == 200
        behind.answer()
        assert connection.get().status == 200
    assert (behind.visits, len(behind.requests)) == (2, 2)


def test_a_kept_connection_that_has_ended_fails_a_post(program: Program, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.say(OK)
        visit.until(b"\r\n\r\n")

    behind.script = script
    with program.connect() as connection:
        assert connection.get().status == 200
        behind.answer()
        connection.send(POST + b"Content-Length: 0\r\n\r\n")
        answer = connection.answer()
    assert (answer.status, answer.reason) == (502, "upstream_closed")
    assert behind.requests == []


def test_a_server_that_closes_idle_connections_loses_no_post(program: Program, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        behind.requests.append(visit.request())
        visit.say(OK)

    behind.script = script
    with program.connect() as connection:
        for _ in range(5):
            connection.send(POST + b"Content-Length: 2\r\n\r\nhi")
            assert connection.answer().status == 200
            time.sleep(0.02)
    assert behind.visits == 5


@pytest.mark.parametrize(
    ("response", "status", "reason"),
    [
        (b"", 502, "upstream_closed"),
        (HEAD, 502, "upstream_closed"),
        (b"nonsense\r\n\r\n", 502, "upstream_malformed"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 502, "upstream_malformed"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, "upstream_malformed"),
    ],
)
def test_a_server_that_does_not_answer_properly_is_a_bad_gateway(
    program: Program, behind: Origin, response: bytes, status: int, reason: str
) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.say(response)

    behind.script = script
    with program.connect() as connection:
        answer = connection.get()
        assert (answer.status, answer.reason) == (status, reason)
        behind.answer()
        assert connection.get().status == 200
    program.logs.expect(event="upstream_failed", reason=reason)


def test_a_request_may_follow_one_that_failed_amid_its_body(program: Program, behind: Origin) -> None:
    def closes(visit: Visit) -> None:
        visit.head()

    behind.script = closes
    with program.connect() as connection:
        connection.send(POST + b"Content-Length: 5\r\n\r\nhel")
        assert connection.answer().reason == "upstream_closed"
        behind.answer()
        connection.send(b"lo")
        assert connection.get("/next").body == b"ok"
    assert behind.last.line == b"GET /next HTTP/1.1"


def test_a_server_of_http_1_0_is_asked_again_on_a_connection_that_it_keeps(
    program: Program, behind: Origin
) -> None:
    behind.answer(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    with program.connect() as connection:
        assert [connection.get().body for _ in range(3)] == [b"ok"] * 3
    assert behind.visits == 1


@pytest.mark.parametrize(
    "response",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nevil!",
        b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
    ],
)
def test_what_follows_a_response_answers_no_other_request(
    program: Program, behind: Origin, response: bytes
) -> None:
    behind.answer(response)
    with program.connect() as first, program.connect() as second:
        first.get()
        behind.answer()
        assert second.get().body == b"ok"
        assert first.get().body == b"ok"
    assert behind.visits == 2


def test_a_server_that_is_silent_is_a_gateway_timeout(program: Program, behind: Origin) -> None:
    def script(visit: Visit) -> None:
        visit.until(b"never")

    behind.script = script
    answer = program.get()
    assert (answer.status, answer.reason) == (504, "upstream_timeout")


@pytest.mark.parametrize("stops", ["closes", "is silent"])
def test_a_response_that_stops_half_way_is_cut_off(program: Program, behind: Origin, stops: str) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        if stops == "is silent":
            visit.until(b"never")

    behind.script = script
    with program.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
        assert connection.read_until(b"hello\r\n").endswith(b"\r\n\r\n5\r\nhello\r\n")
        assert connection.ends_with_close_notify()


def test_a_caller_that_leaves_ends_its_request(world: World, tmp_path: Path, behind: Origin) -> None:
    ended = threading.Event()

    def script(visit: Visit) -> None:
        visit.request()
        visit.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        with contextlib.suppress(OSError):
            assert visit.connection.recv(1) == b""
        ended.set()

    behind.script = script
    arguments = ("upstream", behind.url, "--idle-timeout", "600")
    with running(world, tmp_path, *arguments) as program:
        with program.connect() as connection:
            connection.send(b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
            connection.read_until(b"hello\r\n")
        assert ended.wait(PATIENCE)


def test_a_server_that_is_not_there_is_a_bad_gateway(world: World, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with running(world, tmp_path, "upstream", f"http://127.0.0.1:{port}") as program:
        answer = program.get()
        assert (answer.status, answer.reason) == (502, "upstream_unreachable")
        assert program.ask_admin("/readyz")[0] == 200


def test_a_server_that_does_not_accept_is_a_gateway_timeout(world: World, tmp_path: Path) -> None:
    with socket.socket() as full, contextlib.ExitStack() as clients:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):
            client = clients.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        arguments = ("upstream", url, "--connect-timeout", "0.3")
        with running(world, tmp_path, *arguments) as program:
            answer = program.get()
    assert (answer.status, answer.reason) == (504, "upstream_connect_timeout")


def test_connections_answers_and_failures_are_counted(world: World, tmp_path: Path, behind: Origin) -> None:
    with running(world, tmp_path, "upstream", behind.url) as program:
        assert [program.get().status for _ in range(3)] == [200] * 3
        counts = program.counts()
        assert counts['mtls_server_upstream_requests_total{connection="new"}'] == 1
        assert counts['mtls_server_upstream_requests_total{connection="kept"}'] == 2
        metrics = program.ask_admin("/metrics")[1]
        assert "mtls_server_upstream_connections 1.0" in metrics
        assert "mtls_server_upstream_response_seconds_count 3.0" in metrics
        behind.close()
        behind.answer(b"nonsense\r\n\r\n")
        assert program.get().status == 502
        assert program.counts()['mtls_server_upstream_failures_total{reason="upstream_malformed"}'] == 1
        assert "mtls_server_upstream_connections 0.0" in program.ask_admin("/metrics")[1]


def test_a_failure_to_connect_is_counted(world: World, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with running(world, tmp_path, "upstream", url) as program:
        assert program.get().status == 502
        assert program.counts()['mtls_server_upstream_failures_total{reason="upstream_unreachable"}'] == 1
