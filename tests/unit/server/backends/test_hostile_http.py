"""HTTP of callers that are known and mean no good: what they may try, on each backend."""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.unit.server.backends.origin import Origin, origin
from tests.unit.server.backends.test_forged import CLAIMS
from tests.unit.server.backends.test_websocket import OPENING
from tests.unit.server.conftest import World
from tests.unit.server.program import Connection, Program, running
from tests.unit.server.test_live import CUT_OFF

GET = b"GET / HTTP/1.1\r\nHost: orders\r\n"
POST = b"POST / HTTP/1.1\r\nHost: orders\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
UNKNOWN_LENGTH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@dataclass
class Behind:
    """A server, and what its backend was told in the last request that reached it."""

    program: Program
    told: Callable[[bytes], list[tuple[str, str]]]
    """Takes the body of the response, where the backend may have said it; returns names and values."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Origin]:
    with origin() as started:
        started.answer(UNKNOWN_LENGTH)
        yield started


@pytest.fixture(scope="module")
def backends(
    world: World, tmp_path_factory: pytest.TempPathFactory, upstream: Origin
) -> Iterator[dict[str, Behind]]:
    def told_by_asgi(body: bytes) -> list[tuple[str, str]]:
        return [(name, value) for name, value in json.loads(body)["fields"]]

    def told_by_wsgi(body: bytes) -> list[tuple[str, str]]:
        return list(json.loads(body)["environ"].items())

    def told_by_upstream(_body: bytes) -> list[tuple[str, str]]:
        return upstream.last.fields

    with ExitStack() as stack:

        def start(*arguments: str) -> Program:
            return stack.enter_context(running(world, tmp_path_factory.mktemp("program"), *arguments))

        yield {
            "asgi": Behind(start("asgi", "tests.unit.server.backends.asgi_apps:app"), told_by_asgi),
            "wsgi": Behind(start("wsgi", "tests.unit.server.backends.wsgi_apps:hello"), told_by_wsgi),
            "upstream": Behind(start("upstream", upstream.url), told_by_upstream),
        }


@pytest.fixture(params=["asgi", "wsgi", "upstream"])
def behind(request: pytest.FixtureRequest, backends: dict[str, Behind]) -> Behind:
    return backends[request.param]


@pytest.fixture
def asgi(backends: dict[str, Behind]) -> Program:
    return backends["asgi"].program


@pytest.fixture(scope="module")
def hasty(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    directory = tmp_path_factory.mktemp("program")
    with running(world, directory, "asgi", "tests.unit.server.backends.hasty:app") as program:
        yield program


# Bodies


def test_a_flood_of_chunk_extensions_takes_no_memory_and_no_application_sees_it(behind: Behind) -> None:
    with behind.program.connect() as connection:
        connection.send(CHUNKED)
        before = behind.program.resident()
        for _ in range(200):
            connection.send(b"1;" + b"x" * 50_000 + b"\r\na\r\n")
        connection.send(b"0\r\n\r\n")
        answer = connection.answer()
        assert answer.status == 200
        assert "xxx" not in str(behind.told(answer.body))
        assert behind.program.resident() - before < 5


@pytest.mark.parametrize("beginning", [b"1;", b"1;a=", b'1;a="'])
def test_an_endless_chunk_extension_ends_the_connection(behind: Behind, beginning: bytes) -> None:
    with behind.program.connect() as connection:
        connection.send(CHUNKED + beginning + b"x" * (1 << 17))
        assert connection.answer().reason == "head_too_large"
        assert connection.ends_with_close_notify()


@pytest.mark.parametrize(
    "size",
    [b"10000000000000000", b"fffffffffffffffff", b"-1", b"0x1", b"1 ", b" 1", b"+1", b"1_0", b"", b"g"],
)
def test_a_chunk_size_of_17_digits_or_of_none_is_malformed(behind: Behind, size: bytes) -> None:
    with behind.program.connect() as connection:
        connection.send(CHUNKED + size + b"\r\na\r\n0\r\n\r\n")
        answer = connection.answer()
        assert (answer.status, answer.reason) == (400, "malformed_request")
        assert connection.ends_with_close_notify()


@pytest.mark.parametrize(
    "length", [b"18446744073709551616", b"99999999999999999999", b"-1", b"+1", b"1,1", b"0x1", b"1 1", b""]
)
def test_a_content_length_that_is_no_number_or_too_large_is_malformed(behind: Behind, length: bytes) -> None:
    with behind.program.connect() as connection:
        connection.send(POST + b"Content-Length: " + length + b"\r\n\r\na")
        assert connection.answer().reason == "malformed_request"
        assert connection.ends_with_close_notify()


@pytest.mark.parametrize(
    "coding", [b"chunked, identity", b"xchunked", b"chunked\r\nTransfer-Encoding: identity", b"\x0bchunked"]
)
def test_a_body_whose_end_two_programs_could_see_elsewhere_smuggles_no_request(
    behind: Behind, coding: bytes
) -> None:
    with behind.program.connect() as connection:
        connection.send(POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + GET + b"\r\n")
        assert connection.answer().status in {400, 501}
        assert connection.ends_with_close_notify()


def test_trailers_reach_no_application(behind: Behind) -> None:
    with behind.program.connect() as connection:
        connection.send(CHUNKED + b"1\r\na\r\n0\r\nX-A: trailer\r\nHost: other\r\n\r\n")
        answer = connection.answer()
        assert "trailer" not in str(behind.told(answer.body))
        assert "other" not in str(behind.told(answer.body))
        assert connection.get().status == 200


@pytest.mark.parametrize("name", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_no_trailer_says_how_the_body_ends(behind: Behind, name: bytes) -> None:
    with behind.program.connect() as connection:
        connection.send(CHUNKED + b"1\r\na\r\n0\r\n" + name + b"\r\n\r\n" + GET + b"\r\n")
        assert connection.answer().reason == "malformed_request"
        assert connection.ends_with_close_notify()


# Heads


def test_fields_that_are_huge_or_many_are_refused(behind: Behind) -> None:
    for fields in (b"A: " + b"b" * 70_000 + b"\r\n", b"A: b\r\n" * 129, b"a" * 70_000 + b": b\r\n"):
        with behind.program.connect() as connection:
            connection.send(GET + fields + b"\r\n")
            answer = connection.answer()
            assert (answer.status, answer.reason) == (431, "head_too_large")
            assert connection.ends_with_close_notify()


def test_a_head_that_comes_byte_by_byte_is_understood(behind: Behind) -> None:
    with behind.program.connect() as connection:
        for byte in GET + b"X-A: b\r\n\r\n":
            connection.send(bytes([byte]))
        assert connection.answer().status == 200


def test_requests_sent_ahead_are_answered_in_their_order_and_bounded(behind: Behind) -> None:
    with behind.program.connect() as connection:
        connection.send((GET + b"\r\n") * 20)
        assert [connection.answer().status for _ in range(20)] == [200] * 20


def spellings(name: str) -> Iterator[str]:
    """With each character of a token (RFC 9110 §5.6.2) where there is a hyphen, and in capitals."""
    yield from (name.replace("-", other) for other in "-!#$%&'*+.^_`|~")
    yield name.upper()


def test_claims_to_be_somebody_reach_no_backend_in_any_spelling(behind: Behind) -> None:
    forged = [one for name in CLAIMS for one in spellings(name)]
    with behind.program.connect() as connection:
        for start in range(0, len(forged), 100):
            names = forged[start : start + 100]
            lines = "".join(f"{name}: forged\r\n" for name in names)
            nominated = f"Connection: {', '.join(names[:20])}\r\n"
            trailers = f"0\r\n{names[0]}: forged\r\n\r\n"
            head = "POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n"
            connection.send(f"{head}{lines}{nominated}\r\n{trailers}".encode())
            answer = connection.answer()
            assert answer.status == 200
            assert "forged" not in [value for _, value in behind.told(answer.body)]


# Expect


def test_whoever_expects_to_be_told_to_go_on_is_told_when_the_body_is_asked_for(behind: Behind) -> None:
    with behind.program.connect() as connection:
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert connection.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"hello")
        assert connection.answer().status == 200


def test_whoever_is_refused_is_not_told_to_go_on(asgi: Program) -> None:
    with asgi.connect() as connection:
        head = POST.replace(b"POST /", b"POST /refusing")
        connection.send(head + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert connection.answer().status == 413


def test_whoever_expects_it_a_hundred_times_is_told_once(behind: Behind) -> None:
    with behind.program.connect() as connection:
        connection.send(POST + b"Expect: 100-continue\r\n" * 100 + b"Content-Length: 5\r\n\r\n")
        assert connection.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"hello")
        assert connection.tls.recv(12) == b"HTTP/1.1 200"


# Upgrades


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        GET + b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        GET + b"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n",
        OPENING + b"Content-Length: 2\r\n\r\nhi",
        OPENING + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OPENING.replace(b"GET", b"PUT") + b"\r\n",
        b"CONNECT orders:443 HTTP/1.1\r\nHost: orders:443\r\n\r\n",
    ],
)
def test_no_other_protocol_is_changed_to(behind: Behind, request_bytes: bytes) -> None:
    with behind.program.connect() as connection:
        connection.send(request_bytes + GET + b"X-Smuggled: 1\r\n\r\n")
        answer = connection.answer()
        assert (answer.status, answer.reason) == (501, "upgrade_not_supported")
        assert connection.ends_with_close_notify()


def test_http_2_is_not_spoken(behind: Behind) -> None:
    with behind.program.connect() as connection:
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        assert connection.answer().reason == "malformed_request"
        assert connection.ends_with_close_notify()


# HTTP/1.0


def answer_to_http_1_0(connection: Connection, path: str = "/") -> tuple[bytes, bytes]:
    connection.send(f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
    response = b""
    while piece := connection.tls.recv(65536):
        response += piece
    head, _, body = response.partition(b"\r\n\r\n")
    return head.lower(), body


def test_callers_of_http_1_0_get_no_chunks(behind: Behind) -> None:
    with behind.program.connect() as connection:
        head, body = answer_to_http_1_0(connection)
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"hello" or behind.told(body)


def test_callers_of_http_1_0_see_that_a_response_broke_off(asgi: Program) -> None:
    with asgi.connect() as connection, pytest.raises(ssl.SSLEOFError):
        answer_to_http_1_0(connection, "/breaking")


def says_too_much(connection: Connection) -> None:
    connection.send(b"x" * 100_000)
    connection.tls.recv(1)


def says_goodbye(connection: Connection) -> None:
    connection.tls.unwrap()


def says_nothing(connection: Connection) -> None:
    connection.tls.recv(1)


@pytest.mark.parametrize(
    ("body", "go_on"), [(b"hello", says_too_much), (b"he", says_goodbye), (b"he", says_nothing)]
)
def test_callers_of_http_1_0_see_that_a_response_broke_off_by_their_own_fault(
    hasty: Program, body: bytes, go_on: Callable[[Connection], None]
) -> None:
    with hasty.connect() as connection:
        connection.send(b"POST /halting HTTP/1.0\r\nContent-Length: 5\r\n\r\n" + body)
        response = b""
        while not response.endswith(b"\r\n\r\nhalf"):
            response += connection.tls.recv(65536)
        with pytest.raises(CUT_OFF):
            go_on(connection)


@pytest.mark.parametrize(("path", "expected"), [("/chunked", b"hello"), ("/refusing", b"")])
def test_callers_of_http_1_0_get_no_chunks_whatever_the_application_says(
    asgi: Program, path: str, expected: bytes
) -> None:
    with asgi.connect() as connection:
        head, body = answer_to_http_1_0(connection, path)
    assert b"transfer-encoding" not in head
    assert body == expected


def test_a_length_is_told_to_callers_of_http_1_0_too(backends: dict[str, Behind]) -> None:
    with backends["wsgi"].program.connect() as connection:
        head, body = answer_to_http_1_0(connection, "/written")
    assert b"content-length: 4" in head
    assert body == b"abcd"


# Readers


@pytest.mark.parametrize("backend", ["asgi", "wsgi"])
def test_a_reader_that_does_not_read_holds_the_application_back(
    backends: dict[str, Behind], backend: str
) -> None:
    program = backends[backend].program
    with program.connect() as slow:
        slow.send(GET.replace(b"GET /", b"GET /endless") + b"\r\n")
        assert slow.tls.recv(12) == b"HTTP/1.1 200"
        before = program.resident()
        time.sleep(0.5)
        assert program.get().status == 200
        assert program.resident() - before < 8
