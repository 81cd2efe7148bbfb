"""Which fields are passed on, either way."""

from typing import Any, cast

import pytest
from uvicorn._types import HTTPScope

from mtls_server.backends.upstream.heads import Body, Request, is_coded, request_to, response_fields
from mtls_server.backends.upstream.target import Target
from mtls_server.identity import Identity, parse
from tests.unit.server import pki
from tests.unit.server.conftest import World

TARGET = Target("127.0.0.1", 8080)


@pytest.fixture(scope="module")
def caller(world: World) -> tuple[Identity, tuple[str, ...]]:
    issued = pki.client(world.client_authority)
    return parse(issued.der), (issued.pem.decode(),)


def scope(caller: tuple[Identity, tuple[str, ...]], *fields: tuple[str, str], **changed: Any) -> HTTPScope:
    identity, chain = caller
    whole = {
        "type": "http",
        "method": "GET",
        "mtls.target": b"/",
        "client": ("192.0.2.7", 4711),
        "headers": [(name.encode(), value.encode()) for name, value in (("host", "orders"), *fields)],
        "state": {"mtls": identity},
        "extensions": {"tls": {"client_cert_chain": chain}},
    }
    return cast("HTTPScope", whole | changed)


def passed_on(request: Request) -> list[tuple[str, str]]:
    _, *lines = request.head.decode().removesuffix("\r\n\r\n").split("\r\n")
    return [(name, value) for name, value in (line.split(": ", 1) for line in lines)]


OURS = ["client-cert", "x-forwarded-client-cert", "x-mtls-roles"]
FORWARDED = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]


def names(request: Request) -> list[str]:
    return [name for name, _ in passed_on(request)]


def test_what_the_caller_sends_is_passed_on_in_its_order(caller: Any) -> None:
    sent = [("accept", "*/*"), ("cookie", "a=1"), ("cookie", "b=2"), ("authorization", "Bearer x")]
    request = request_to(TARGET, scope(caller, *sent), with_chain=False)
    assert passed_on(request)[:5] == [("host", "orders"), *sent]
    assert names(request)[5:] == [*FORWARDED, *OURS]


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "transfer_encoding",
        "content_length",
        "client-cert",
        "client_cert",
        "client.cert",
        "client-cert-chain",
        "client_cert_chain",
        "x-forwarded-client-cert",
        "x_forwarded_client_cert",
        "x-mtls-client",
        "x_mtls_roles",
        "x-mtls-anything",
        "x-ssl-client-cn",
        "x_ssl_client_s_dn",
        "ssl_client_verify",
        "x-forwarded-for",
        "x_forwarded_for",
        "x-forwarded-prefix",
        "forwarded",
        "x-real-ip",
        "x_real_ip",
    ],
)
def test_what_belongs_to_this_hop_or_is_ours_to_say_is_not_passed_on(caller: Any, name: str) -> None:
    request = request_to(TARGET, scope(caller, (name, "forged")), with_chain=False)
    assert "forged" not in request.head.decode()
    assert names(request) == ["host", *FORWARDED, *OURS]


def test_what_connection_names_is_not_passed_on_but_ours_is(caller: Any) -> None:
    sent = [
        ("connection", "close, X-Hop, client-cert"),
        ("connection", "x-mtls-roles, Host, x-forwarded-for"),
        ("x-hop", "1"),
    ]
    request = request_to(TARGET, scope(caller, *sent), with_chain=False)
    assert names(request) == ["host", *FORWARDED, *OURS]


def test_the_origin_is_told_who_connected_and_what_was_asked_for(caller: Any) -> None:
    request = request_to(TARGET, scope(caller), with_chain=False)
    assert passed_on(request)[1:4] == [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "orders"),
    ]


def test_http_1_0_without_host_gets_one(caller: Any) -> None:
    request = request_to(TARGET, scope(caller, headers=[]), with_chain=False)
    assert passed_on(request)[0] == ("host", "127.0.0.1:8080")


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/a%2fb/%7Ec;d?e=%20&f=+", "/a%2fb/%7Ec;d?e=%20&f=+"),
        ("/?", "/?"),
        ("/a??", "/a??"),
        ("https://orders/a/b?", "/a/b?"),
        ("https://orders/", "/"),
    ],
)
def test_path_and_query_stay_as_they_are(caller: Any, target: str, line: str) -> None:
    asked = scope(caller, **{"mtls.target": target.encode()}, method="PATCH")
    head = request_to(TARGET, asked, with_chain=False).head
    assert head.startswith(f"PATCH {line} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("field", "body", "said"),
    [
        (("content-length", "007"), Body.LENGTH, ("content-length", "7")),
        (("content-length", "0"), Body.NONE, ("content-length", "0")),
        (("transfer-encoding", "Chunked"), Body.CHUNKED, ("transfer-encoding", "chunked")),
    ],
)
def test_a_body_is_delimited_as_it_was(
    caller: Any, field: tuple[str, str], body: Body, said: tuple[str, str]
) -> None:
    nominated = ("connection", field[0])
    request = request_to(TARGET, scope(caller, nominated, field), with_chain=False)
    assert request.body is body
    assert said in passed_on(request)


def test_only_what_is_idempotent_and_has_no_body_may_be_sent_again(caller: Any) -> None:
    def repeatable(method: str, *fields: tuple[str, str]) -> bool:
        return request_to(TARGET, scope(caller, *fields, method=method), with_chain=False).repeatable

    assert repeatable("GET")
    assert repeatable("DELETE")
    assert not repeatable("POST")
    assert not repeatable("PATCH")
    assert not repeatable("PUT", ("content-length", "1"))
    assert not repeatable("PUT", ("transfer-encoding", "chunked"))


def test_a_transfer_coding_other_than_chunked_is_noticed(caller: Any) -> None:
    assert is_coded(scope(caller, ("transfer-encoding", "gzip, chunked")))
    assert not is_coded(scope(caller, ("transfer-encoding", "chunked")))
    assert not is_coded(scope(caller))


def test_a_response_loses_what_belongs_to_its_hop() -> None:
    received = [
        (b"connection", b"keep-alive, X-Hop"),
        (b"keep-alive", b"timeout=5"),
        (b"x-hop", b"1"),
        (b"date", b"Tue, 24 Nov 2026 00:00:00 GMT"),
        (b"transfer-encoding", b"chunked"),
        (b"trailer", b"digest"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"server", b"origin"),
    ]
    assert response_fields(200, received) == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"server", b"origin"),
    ]


@pytest.mark.parametrize(("status", "kept"), [(200, True), (206, True), (204, False), (304, False)])
def test_a_response_without_body_has_no_length(status: int, kept: bool) -> None:  # noqa: FBT001 - a parameter
    assert bool(response_fields(status, [(b"content-length", b"5")])) == kept
