"""What reaches the application, with whose name on it, and what is answered before it."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import Program, running

GET = b"GET / HTTP/1.1\r\nHost: orders\r\n"


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(
        world, tmp_path_factory.mktemp("program"), "asgi", "tests.unit.server.apps:mirror"
    ) as program:
        yield program
        for line in program.logs.all:
            assert "BEGIN" not in str(line)


def calls(program: Program) -> int:
    return int(program.get().json["calls"])


def test_the_application_sees_the_tls_extension(program: Program) -> None:
    with program.connect() as connection:
        seen = connection.get().json["tls"]
        served = connection.tls.getpeercert(binary_form=True)
        name, _, _ = connection.tls.cipher() or ("", "", 0)
    assert ssl.PEM_cert_to_DER_cert(seen["server_cert"]) == served
    assert [ssl.PEM_cert_to_DER_cert(pem) for pem in seen["client_cert_chain"]] == [connection.caller.der]
    assert seen["client_cert_name"] == "CN=billing"
    assert seen["client_cert_error"] is None
    assert seen["tls_version"] == 0x0304
    assert (name, seen["cipher_suite"]) in {
        ("TLS_AES_256_GCM_SHA384", 0x1302),
        ("TLS_AES_128_GCM_SHA256", 0x1301),
    }


def test_the_application_sees_the_intermediates_but_not_the_anchor(program: Program, world: World) -> None:
    intermediate = pki.authority("intermediate", issuer=world.client_authority, path_length=0)
    caller = pki.client(intermediate)
    with program.connect(caller) as connection:
        chain = connection.get().json["tls"]["client_cert_chain"]
    assert [ssl.PEM_cert_to_DER_cert(pem) for pem in chain] == [caller.der, intermediate.der]


def test_what_the_application_writes_into_a_scope_no_later_request_of_the_connection_sees(
    world: World, tmp_path: Path
) -> None:
    with (
        running(world, tmp_path, "asgi", "tests.unit.server.apps:scribbler") as program,
        program.connect() as connection,
    ):
        first, second = (connection.get().json for _ in range(2))
    assert first == second
    assert first[:2] == [["mtls"], ["tls"]]


def test_the_application_sees_who_calls(program: Program) -> None:
    with program.connect() as connection:
        seen = connection.get().json
    assert seen["client"] == "billing"
    assert seen["identity"]["roles"] == ["reader"]
    assert seen["identity"]["serial"] == f"{connection.caller.certificate.serial_number:x}"
    assert seen["identity"]["tls"]["version"] == "TLSv1.3"
    assert seen["scheme"] == "https"
    assert seen["started"] is True


def test_many_requests_share_a_connection(program: Program) -> None:
    with program.connect() as connection:
        counts = [connection.get().json["calls"] for _ in range(3)]
    assert counts == list(range(counts[0], counts[0] + 3))


def test_pipelined_requests_are_answered_in_order(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: orders\r\n\r\n" % number for number in range(5)))
        assert [connection.answer().json["path"] for _ in range(5)] == [f"/{number}" for number in range(5)]


def test_responses_carry_the_date_and_no_server_name(program: Program) -> None:
    headers = program.get().headers
    assert headers["date"].endswith(" GMT")
    assert "server" not in headers


def test_a_refused_peer_is_answered_even_if_its_request_is_nonsense(program: Program, world: World) -> None:
    with program.connect(pki.leaf(world.client_authority)) as connection:
        connection.send(b"nonsense\r\n\r\n")
        assert connection.answer().status == 400
        assert connection.ends_with_close_notify()


@pytest.mark.parametrize(
    ("request_bytes", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "not_one_host"),
        (GET + b"Host: other\r\n\r\n", 400, "not_one_host"),
        (b"GET / HTTP/1.1\r\nHost: orders evil\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nHost: evil@orders\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nHost: orders/../x\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nHost: orders:port\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.0\r\nHost: \xff\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "not_one_host"),
        (
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "transfer_encoding_in_http_1_0",
        ),
        (b"GET http://orders/ HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "bad_target"),
        (b"GET https://other/ HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "bad_target"),
        (b"GET https://orders HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "bad_target"),
        (b"GET https://orders@other/ HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "bad_target"),
        (b"GET https://orders:99999/ HTTP/1.1\r\nHost: orders:99999\r\n\r\n", 400, "bad_target"),
        (b"GET https://orders:x/ HTTP/1.1\r\nHost: orders:x\r\n\r\n", 400, "bad_target"),
        (b"GET https://[::1/ HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "bad_target"),
        (b"GET https:/// HTTP/1.1\r\nHost:\r\n\r\n", 400, "bad_target"),
        (b"GET https://orders?/ HTTP/1.1\r\nHost: orders?\r\n\r\n", 400, "bad_target"),
        (b"OPTIONS * HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "bad_target"),
        (b"GET /\xff HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "malformed_request"),
        (b"GET /\x00 HTTP/1.1\r\nHost: orders\r\n\r\n", 400, "malformed_request"),
        (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "malformed_request"),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\nHost: orders\n\n", 400, "malformed_request"),
        (GET + b" folded\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/2.0\r\nHost: orders\r\n\r\n", 400, "malformed_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "malformed_request"),
        (GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", 501, "upgrade_not_supported"),
        (b"CONNECT orders:443 HTTP/1.1\r\nHost: orders\r\n\r\n", 501, "upgrade_not_supported"),
        (GET + b"A: b\r\n" * 128 + b"\r\n", 431, "head_too_large"),
        (GET + b"A: " + b"b" * 65536 + b"\r\n\r\n", 431, "head_too_large"),
        (GET + b"A: " + b"b" * (1 << 18), 431, "head_too_large"),
        (b"GET /" + b"a" * (1 << 18), 431, "head_too_large"),
        (b"GET /" + b"a" * 65535 + b" HTTP/1.0\r\n\r\n", 431, "head_too_large"),
    ],
)
def test_a_request_that_must_not_pass_is_answered_at_the_gate(
    program: Program, request_bytes: bytes, status: int, reason: str
) -> None:
    before = calls(program)
    with program.connect() as connection:
        connection.send(request_bytes)
        answer = connection.answer()
        assert (answer.status, answer.reason) == (status, reason)
        assert connection.ends_with_close_notify()
    assert calls(program) == before + 1


def test_a_malformed_request_behind_a_good_one_closes_the_connection(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\nnonsense\r\n\r\n")
        assert connection.ends_with_close_notify()


def test_an_absolute_target_of_the_very_host_passes(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"GET https://orders/a?b HTTP/1.1\r\nHost: orders\r\n\r\n")
        assert connection.answer().json["path"] == "/a"


def test_http_1_0_passes_without_host(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.answer().status == 200
        assert connection.ends_with_close_notify()


def test_a_refusal_of_head_has_no_body(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"HEAD / HTTP/1.1\r\n\r\n")
        answer = connection.answer("HEAD")
        assert (answer.status, answer.body) == (400, b"")
        assert connection.ends_with_close_notify()


CHUNKED = b"POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"


def test_trailers_never_become_headers(program: Program) -> None:
    with program.connect() as connection:
        connection.send(CHUNKED)
        connection.send(b"X-Forwarded-Client-Cert: forged\r\nExpect: 100-continue\r\n\r\n")
        seen = connection.answer().json
        assert seen["body"] == "hello"
        assert [name for name, _ in seen["headers"]] == ["host", "transfer-encoding"]
        assert connection.get().status == 200


def test_endless_trailers_close_the_connection(program: Program) -> None:
    with program.connect() as connection:
        connection.send(CHUNKED + b"A: " + b"b" * (1 << 18))
        assert connection.answer().reason == "head_too_large"
        assert connection.ends_with_close_notify()


def test_a_large_body_in_many_small_chunks_passes(program: Program) -> None:
    with program.connect() as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.send(b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")
        assert len(connection.answer().json["body"]) == 50_000
