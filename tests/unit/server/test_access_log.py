"""The access log: who asked for what and what became of it, on every backend, and for what is refused."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from mtls_server.contract import Policy, Route
from tests.unit.server import pki
from tests.unit.server.backends.chats import opened
from tests.unit.server.backends.origin import Origin, origin
from tests.unit.server.conftest import World
from tests.unit.server.program import Program, running
from tests.unit.server.test_live import GET_SLOW, change
from tests.unit.server.test_live_cut import read_to_the_end

WHO = {"client": "billing", "source": "own", "spiffe_id": pki.BILLING_URI, "peer": "127.0.0.1"}
NOBODY = {"client": None, "source": None, "spiffe_id": None, "peer": "127.0.0.1"}


@contextmanager
def logging_program(
    world: World, directory: Path, *backend: str, policy: Policy | None = None
) -> Iterator[tuple[Program, list[dict[str, Any]]]]:
    """Run the server, and yield it and the lines of its access log, which are all there at the end."""
    lines: list[dict[str, Any]] = []
    with running(world, directory, "--access-log", *backend) as program:
        assert program.process.stdout is not None
        output = (line for line in program.process.stdout if line.startswith("{"))
        reader = threading.Thread(target=lambda: lines.extend(json.loads(line) for line in output))
        reader.start()
        if policy is not None:
            change(program, policy)
        yield program, lines
        program.stop()
        reader.join()
        assert "Traceback" not in str(program.logs.all)


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    assert line["time"].endswith("Z")
    assert 0 <= line["duration"] < 60
    return {name: value for name, value in line.items() if name not in {"time", "duration"}}


@pytest.fixture(scope="module")
def behind() -> Iterator[Origin]:
    with origin() as started:
        started.answer()
        yield started


@pytest.mark.parametrize("kind", ["identity", "asgi", "wsgi", "upstream"])
def test_each_request_is_a_line_on_every_backend(
    world: World, tmp_path: Path, behind: Origin, kind: str
) -> None:
    backends = {
        "identity": ("identity",),
        "asgi": ("asgi", "tests.unit.server.apps:mirror"),
        "wsgi": ("wsgi", "tests.unit.server.backends.wsgi_apps:hello"),
        "upstream": ("upstream", behind.url),
    }
    with logging_program(world, tmp_path, *backends[kind]) as (program, lines), program.connect() as billing:
        answer = billing.get("/a%20b?secret=1")
        billing.send(b"HEAD /c HTTP/1.1\r\nHost: orders\r\n\r\n")
        assert billing.answer("HEAD").status == 200
    assert all(line["duration"] > 0 for line in lines) or kind == "identity", "which answers at once"
    assert [without_times(line) for line in lines] == [
        {
            "event": "request",
            **WHO,
            "method": "GET",
            "path": "/a b",
            "status": 200,
            "bytes": len(answer.body),
        },
        {"event": "request", **WHO, "method": "HEAD", "path": "/c", "status": 200, "bytes": 0},
    ]


def test_what_is_refused_is_a_line(world: World, tmp_path: Path) -> None:
    stranger = pki.client(world.client_authority, uri=pki.BILLING_URI + "x")
    route = Route("/orders/*", ("GET",), ("admin",))
    policy = msgspec.structs.replace(pki.policy(world.client_authority), routes=(route,))
    with logging_program(world, tmp_path, "identity", policy=policy) as (program, lines):
        with program.connect(stranger) as connection:
            assert connection.get("/orders/1?secret").status == 403
        for request in (b"GET /../secret HTTP/1.1\r\nHost: orders\r\n\r\n", b"secret\r\n\r\n"):
            with program.connect() as connection:
                connection.send(request)
                assert connection.answer().status == 400
        assert program.get("/orders/1").status == 403
    seen = [without_times(line) | {"bytes": 0} for line in lines]
    about = {"event": "request", "bytes": 0}
    assert seen == [
        {**about, **NOBODY, "method": "GET", "path": "/orders/1", "status": 403, "reason": "unknown_client"},
        {**about, **WHO, "method": "GET", "path": None, "status": 400, "reason": "ambiguous_path"},
        {**about, **WHO, "method": None, "path": None, "status": 400, "reason": "malformed_request"},
        {**about, **WHO, "method": "GET", "path": "/orders/1", "status": 403, "reason": "missing_role"},
    ]


def test_a_request_that_no_route_lets_pass_says_why_though_it_waited_for_its_turn(
    world: World, tmp_path: Path
) -> None:
    policy = msgspec.structs.replace(pki.policy(world.client_authority), routes=(Route("/**", ("GET",)),))
    asgi = ("asgi", "tests.unit.server.apps:busy")
    with (
        logging_program(world, tmp_path, *asgi, policy=policy) as (program, lines),
        program.connect() as connection,
    ):
        connection.send(GET_SLOW + b"PUT / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n")
        assert b"HTTP/1.1 403 " in read_to_the_end(connection)
    assert [(line["method"], line["status"], line.get("reason")) for line in lines] == [
        ("GET", 200, None),
        ("PUT", 403, "no_route"),
    ]


def test_what_does_not_end_well_is_a_line(world: World, tmp_path: Path) -> None:
    with logging_program(world, tmp_path, "asgi", "tests.unit.server.apps:busy") as (program, lines):
        with program.connect() as connection:
            connection.send(b"GET /download HTTP/1.1\r\nHost: orders\r\n\r\n")
            connection.tls.recv(1 << 14)
        with program.connect() as connection:  # whose application has begun no body, so that nothing was sent
            connection.send(b"PUT /download HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\n")
        assert program.get("/" + "x" * 1000).status == 200
    seen = {line["method"] + line["path"][:9]: without_times(line) for line in lines}
    download, upload, whole = seen["GET/download"], seen["PUT/download"], seen["GET/xxxxxxxx"]
    assert (download["status"], download["aborted"]) == (200, True)
    assert (upload["status"], upload["aborted"]) == (None, True)
    assert (whole["path"], "aborted" in whole) == ("/" + "x" * 255, False)


def test_a_websocket_is_one_line_at_its_end(world: World, tmp_path: Path) -> None:
    with logging_program(world, tmp_path, "asgi", "tests.unit.server.apps:chat") as (program, lines):
        with opened(program, "/chat?secret") as websocket:
            said = str(websocket.recv())
            assert not lines
        assert program.get().status == 404
    seen = {line["event"]: without_times(line) for line in lines}
    assert seen["request"]["status"] == 404
    assert seen["websocket"].pop("bytes") > len(said)
    assert seen["websocket"] == {"event": "websocket", **WHO, "method": "GET", "path": "/chat", "status": 101}


def test_a_websocket_that_is_refused_behind_is_a_line(world: World, tmp_path: Path, behind: Origin) -> None:
    with logging_program(world, tmp_path, "upstream", behind.url) as (program, lines):
        with pytest.raises(InvalidStatus), opened(program):
            pass
        assert program.get().status == 200
    assert {line["event"]: line["status"] for line in lines} == {"websocket": 200, "request": 200}


@pytest.mark.parametrize(("wish", "lines"), [("", 0), ("false", 0), ("true", 1)])
def test_nothing_is_written_unless_it_is_asked_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str, lines: int
) -> None:
    monkeypatch.setenv("MTLS_SERVER_ACCESS_LOG", wish)
    with running(world, tmp_path, "identity") as program:
        assert program.get().status == 200
        program.stop()
        assert program.process.stdout is not None
        assert len(program.process.stdout.readlines()) == lines


def test_no_line_holds_a_certificate_or_a_query(world: World, tmp_path: Path) -> None:
    with logging_program(world, tmp_path, "identity") as (program, lines):
        assert program.get("/?password=secret").status == 200
    assert len(lines) == 1
    assert "secret" not in str(lines)
    assert "MII" not in str(lines)
