"""Which servers requests may be passed on to."""

import pytest

from mtls_server.backends.errors import BackendError
from mtls_server.backends.upstream.target import parse_target


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
        ("http://127.8.8.8", "127.8.8.8", 80, "127.8.8.8:80"),
        ("http://localhost:3000/", "localhost", 3000, "localhost:3000"),
        ("http://[::1]:3000", "::1", 3000, "[::1]:3000"),
    ],
)
def test_loopback_is_a_target(url: str, host: str, port: int, authority: str) -> None:
    target = parse_target(url, insecure_acknowledged=False)
    assert (target.host, target.port, target.authority) == (host, port, authority)


def test_another_host_is_a_target_only_when_acknowledged() -> None:
    assert parse_target("http://orders.shop:80", insecure_acknowledged=True).host == "orders.shop"
    with pytest.raises(BackendError, match="restrict who reaches it and add --insecure-acknowledged"):
        parse_target("http://orders.shop:80", insecure_acknowledged=False)
    with pytest.raises(BackendError, match="is not loopback"):
        parse_target("http://10.0.0.1", insecure_acknowledged=False)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8080", "is no http URL; write one such as http://127.0.0.1:8080"),
        ("https://127.0.0.1", "is no http URL"),
        ("http://", "is no http URL"),
        ("http://127.0.0.1:99999", "is no URL"),
        ("http://127.0.0.1:0", "is no http URL"),
        ("http://127.0.0.1:8080/api", "says more than where the server listens"),
        ("http://127.0.0.1:8080?a", "says more than where the server listens"),
        ("http://me@127.0.0.1:8080", "says more than where the server listens"),
    ],
)
def test_what_is_no_target_is_explained(url: str, words: str) -> None:
    with pytest.raises(BackendError) as caught:
        parse_target(url, insecure_acknowledged=True)
    assert words in str(caught.value)
