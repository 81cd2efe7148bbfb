"""WSGI applications behind mutual TLS."""

import contextlib
import select
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from mtls_server.backends.wsgi.caller import caller_variables
from mtls_server.identity import Name, Tls, parse
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import Program, running

HELLO = "tests.unit.server.backends.wsgi_apps:hello"
POST = b"POST / HTTP/1.1\r\nHost: orders\r\n"


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(world, tmp_path_factory.mktemp("program"), "wsgi", HELLO, "--threads", "2") as program:
        yield program


def test_the_environment_is_that_of_pep_3333(program: Program) -> None:
    with program.connect() as connection:
        connection.send(
            b"POST /caf%C3%A9?a=%20b HTTP/1.1\r\nHost: orders\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 5\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=1\r\nCookie: b=2\r\n\r\nhello"
        )
        answer = connection.answer()
    assert answer.headers["content-type"] == "application/json"
    assert "connection" not in answer.headers
    assert answer.json["body"] == 5
    environ = answer.json["environ"]
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9",
        "QUERY_STRING": "a=%20b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(program.port),
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "5",
        "HTTP_HOST": "orders",
        "HTTP_X_A": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTPS": "on",
        "wsgi.url_scheme": "https",
    }
    assert expected.items() <= environ.items()


def test_the_application_sees_who_calls(program: Program) -> None:
    with program.connect() as connection:
        seen = connection.get().json
        serial = connection.caller.certificate.serial_number
    assert seen["roles"] == ["reader"]
    expected = {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_S_DN": "CN=billing",
        "SSL_CLIENT_S_DN_CN": "billing",
        "SSL_CLIENT_I_DN": "CN=client authority",
        "SSL_CLIENT_I_DN_CN": "client authority",
        "SSL_PROTOCOL": "TLSv1.3",
        "MTLS_CLIENT": "billing",
        "MTLS_SOURCE": "own",
        "MTLS_ROLES": "reader",
        "MTLS_TENANT": "acme",
        "MTLS_SPIFFE_ID": pki.BILLING_URI,
    }
    assert expected.items() <= seen["environ"].items()
    assert int(seen["environ"]["SSL_CLIENT_M_SERIAL"], 16) == serial
    assert seen["environ"]["SSL_CLIENT_CERT"].startswith("-----BEGIN CERTIFICATE-----\n")
    assert seen["environ"]["SSL_CIPHER"].startswith("TLS_AES_")


def test_variables_are_written_as_mod_ssl_does(world: World) -> None:
    names = [x509.DNSName("a.example"), x509.DNSName("b.example"), x509.RFC822Name("me@example")]
    issued = pki.leaf(world.client_authority, names=names)
    identity = msgspec.structs.replace(
        parse(issued.der),
        serial="abc",
        valid_from=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        valid_to=datetime(2026, 11, 24, 14, 15, 16, tzinfo=UTC),
        subject=Name(None, "CN=Jürgen,CN=b"),
        tls=Tls("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    )
    variables = caller_variables(identity, ("leaf", "first", "second"))
    assert variables["mtls.identity"] is identity
    expected = {
        "SSL_CLIENT_M_SERIAL": "0ABC",
        "SSL_CLIENT_V_START": "Feb  3 04:05:06 2026 GMT",
        "SSL_CLIENT_V_END": "Nov 24 14:15:16 2026 GMT",
        "SSL_CLIENT_S_DN": "CN=J\xc3\xbcrgen,CN=b",
        "SSL_CLIENT_CERT": "leaf",
        "SSL_CLIENT_CERT_CHAIN_0": "first",
        "SSL_CLIENT_CERT_CHAIN_1": "second",
        "SSL_CLIENT_SAN_DNS_0": "a.example",
        "SSL_CLIENT_SAN_DNS_1": "b.example",
        "SSL_CLIENT_SAN_Email_0": "me@example",
        "SSL_PROTOCOL": "TLSv1.2",
        "MTLS_ROLES": "",
    }
    assert expected.items() <= variables.items()
    assert "SSL_CLIENT_S_DN_CN" not in variables
    assert "MTLS_TENANT" not in variables


@pytest.mark.parametrize(
    "name",
    [
        "SSL_CLIENT_VERIFY",
        "SSL-Client-Verify",
        "MTLS_CLIENT",
        "X_Mtls_Client",
        "Client-Cert",
        "Client_Cert",
        "X_A",
    ],
)
def test_no_field_passes_for_what_we_say(program: Program, name: str) -> None:
    with program.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: orders\r\n" + name.encode() + b": forged\r\n\r\n")
        environ = connection.answer().json["environ"]
    assert "forged" not in environ.values()
    assert (environ["SSL_CLIENT_VERIFY"], environ["MTLS_CLIENT"]) == ("SUCCESS", "billing")


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: 5\r\n\r\na\nb\nc",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n4\r\n\nb\nc\r\n0\r\n\r\n",
    ],
)
def test_a_body_is_read_as_a_file(program: Program, framed: bytes) -> None:
    with program.connect() as connection:
        connection.send(POST.replace(b"/ ", b"/lines ") + framed)
        assert connection.answer().body == b"b'a\\n'[b'b\\n', b'c']b''"


def test_a_large_body_is_read_whole(program: Program) -> None:
    with program.connect() as connection:
        connection.send(POST + b"Content-Length: %d\r\n\r\n" % (8 << 20) + bytes(8 << 20))
        assert connection.answer().json["body"] == 8 << 20


def test_bodies_pass_piece_by_piece(program: Program) -> None:
    with program.connect() as connection:
        connection.send(POST.replace(b"/ ", b"/echo ") + b"Transfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n")
        connection.read_until(b"2\r\na\n\r\n")
        connection.send(b"2\r\nb\n\r\n")
        assert connection.read_until(b"b\n\r\n") == b"2\r\nb\n\r\n"
        connection.send(b"0\r\n\r\n")
        assert connection.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/no_content", 204, b""), ("/written", 200, b"abcd"), ("/replaced", 418, b"")],
)
def test_responses_are_those_of_pep_3333(program: Program, path: str, status: int, body: bytes) -> None:
    with program.connect() as connection:
        for _ in range(2):
            answer = connection.get(path)
            assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    "path",
    ["/fails", "/finds_nothing", "/exits", "/splits", "/starts_never", "/starts_twice", "/says_text"],
)
def test_an_application_that_fails_is_a_500(program: Program, path: str) -> None:
    assert program.get(path).status == 500
    assert program.get().status == 200


def test_an_application_that_fails_late_is_cut_off(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"GET /fails_late HTTP/1.1\r\nHost: orders\r\n\r\n")
        connection.read_until(b"begun\r\n")
        assert connection.ends_with_close_notify()


def test_requests_share_a_bounded_number_of_threads(program: Program) -> None:
    names: list[bytes] = []

    def ask() -> None:
        names.append(program.get("/slow").body)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == [b"wsgi-1", b"wsgi-1", b"wsgi-2", b"wsgi-2"]


def test_a_caller_that_leaves_ends_its_response(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"GET /endless HTTP/1.1\r\nHost: orders\r\n\r\n")
        connection.tls.recv(1 << 16)
    assert program.process.stdout is not None
    assert program.process.stdout.readline() == "closed\n"


def test_a_body_that_has_not_begun_keeps_no_thread(program: Program) -> None:
    with contextlib.ExitStack() as waiting:
        for _ in range(3):
            waiting.enter_context(program.connect()).send(POST + b"Content-Length: 5\r\n\r\n")
        assert program.get().status == 200


def test_requests_whose_callers_have_left_are_not_run(program: Program) -> None:
    for _ in range(60):
        with program.connect() as connection:
            connection.send(b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n")
    start = time.monotonic()
    assert program.get("/slow").status == 200
    assert time.monotonic() - start < 9, "thirty times half a second, as all would take"


def test_a_caller_that_leaves_amid_its_request_fails_the_application(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "wsgi", HELLO) as program:
        with contextlib.closing(program.connect().tls) as tls:
            tls.sendall(POST + b"Content-Length: 5\r\n\r\nhe")
        assert program.get().status == 200
        assert program.stop() == 0
        assert not program.logs.matching(level="error")


@pytest.fixture(scope="module")
def impatient(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One thread, which waits a second for its caller."""
    one = ("wsgi", HELLO, "--threads", "1", "--caller-timeout", "1")
    with running(world, tmp_path_factory.mktemp("impatient"), *one) as program:
        yield program


def test_a_body_that_comes_byte_by_byte_keeps_no_thread(impatient: Program) -> None:
    with impatient.connect() as connection:
        connection.send(POST + b"Content-Length: 1000\r\n\r\n")
        while not select.select([connection.tls], [], [], 0.1)[0]:
            connection.send(b"x")
        answer = connection.answer()
    assert (answer.status, answer.reason) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert impatient.get().status == 200


def test_a_response_that_is_not_read_keeps_no_thread(impatient: Program) -> None:
    with impatient.connect() as connection:
        connection.send(b"GET /flood HTTP/1.1\r\nHost: orders\r\n\r\n")
        connection.read_until(b"\r\n")
        assert impatient.get().status == 200


def test_an_application_that_is_stuck_does_not_outlast_the_grace(world: World, tmp_path: Path) -> None:
    with (
        running(world, tmp_path, "--grace", "0.5", "wsgi", HELLO) as program,
        program.connect() as connection,
    ):
        connection.send(b"GET /stuck HTTP/1.1\r\nHost: orders\r\n\r\n")
        assert program.get().status == 200
        assert program.stop() == 0
