"""Requests that are passed on, and what the server behind the proxy sees of them."""

import base64
from collections.abc import Iterator

import pytest

from tests.unit.server.backends.origin import Origin, origin
from tests.unit.server.conftest import World
from tests.unit.server.program import Program, running


@pytest.fixture(scope="module")
def behind() -> Iterator[Origin]:
    with origin() as started:
        yield started


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory, behind: Origin) -> Iterator[Program]:
    short = ("--response-timeout", "0.5", "--idle-timeout", "0.5")
    with running(world, tmp_path_factory.mktemp("program"), "upstream", behind.url, *short) as program:
        yield program


@pytest.fixture(autouse=True)
def _answers(behind: Origin) -> None:
    behind.requests.clear()
    behind.answer()


def test_a_request_is_passed_on_and_its_response_back(program: Program, behind: Origin) -> None:
    with program.connect() as connection:
        answer = connection.get("/a%2Fb?c=%20d")
        assert (answer.status, answer.body) == (200, b"ok")
        der = connection.caller.der
    request = behind.last
    assert request.line == b"GET /a%2Fb?c=%20d HTTP/1.1"
    assert request.values("host") == ["orders"]
    assert request.values("client-cert") == [f":{base64.b64encode(der).decode()}:"]
