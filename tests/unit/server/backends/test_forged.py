"""Fields by which a caller could claim to be somebody, or to ask for something else, however spelled."""

from collections.abc import Iterator

import pytest

from mtls_server.http.fields import misleads
from tests.unit.server.conftest import World
from tests.unit.server.program import Program, running

CLAIMS = [
    "client-cert",
    "client_cert",
    "client-cert-chain",
    "client_cert_chain",
    "client!cert",
    "x-client-cert",
    "x-forwarded-client-cert",
    "x_forwarded_client_cert",
    "x-forwarded.client_cert",
    "x-forwarded-tls-client-cert-info",
    "x-mtls-client",
    "x_mtls_client",
    "x-ssl-client-cn",
    "x_ssl_client_cn",
    "ssl-client-verify",
    "ssl_client_s_dn",
    "x-original-url",
    "x_original_url",
    "x-rewrite-url",
    "x-http-method-override",
    "x_http_method",
    "x-method-override",
]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_field_that_misleads_is_known(name: str) -> None:
    assert misleads(name.encode())


@pytest.mark.parametrize(
    "name", ["accept", "client", "cookie", "content-type", "sslx", "x-forwarded-for", "x-http", "x-a"]
)
def test_other_fields_are_not_meant(name: str) -> None:
    assert not misleads(name.encode())


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    directory = tmp_path_factory.mktemp("program")
    with running(world, directory, "asgi", "tests.unit.server.apps:mirror") as program:
        yield program


@pytest.mark.parametrize("name", CLAIMS)
def test_an_asgi_application_never_sees_one(program: Program, name: str) -> None:
    field = f"{name.title()}: forged\r\n".encode()
    with program.connect() as connection:
        connection.send(
            b"POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\nAccept: a\r\n" + field
        )
        connection.send(b"\r\n0\r\n" + field + b"\r\n")
        seen = connection.answer().json
    assert [name for name, _ in seen["headers"]] == ["host", "transfer-encoding", "accept"]
