"""What becomes of everything that may be under way when a caller is served no more, and of everybody else."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.unit.server import pki
from tests.unit.server.backends.origin import OK, Origin, Visit, origin
from tests.unit.server.backends.test_websocket import OPENING
from tests.unit.server.conftest import World
from tests.unit.server.hurried import GRACE_SECONDS
from tests.unit.server.program import Connection, Program, running
from tests.unit.server.test_live import (
    CUT_OFF,
    GET_SLOW,
    UPLOAD,
    audit,
    change,
    cuts,
    deliver_policy,
    granting,
    revoking_billing,
    without_billing,
)
from tests.unit.server.tls.harness import eventually

Activity = Callable[[Connection], None]

DOWNLOAD = b"GET /download HTTP/1.1\r\nHost: orders\r\n\r\n"
CLOSED_1008 = b"\x03\xf0no longer permitted"
"""Payload of a Close frame (RFC 6455 §5.5.1)."""
MORE_THAN_BUFFERS_HOLD = 64 << 20


def idles(connection: Connection) -> None:
    assert connection.get().status == 200


def asks(connection: Connection) -> None:
    connection.send(GET_SLOW)


def uploads(connection: Connection) -> None:
    connection.send(UPLOAD + b"a few bytes")


def downloads(connection: Connection) -> None:
    connection.send(DOWNLOAD)
    assert connection.tls.recv(1 << 14).startswith(b"HTTP/1.1 200 ")


def talks(connection: Connection) -> None:
    connection.send(OPENING + b"\r\n")
    assert connection.tls.recv(1 << 14).startswith(b"HTTP/1.1 101 ")


ACTIVITIES: tuple[Activity, ...] = (idles, asks, uploads, downloads, talks)


@contextmanager
def all_under_way(program: Program, caller: pki.Issued | None = None) -> Iterator[dict[Activity, Connection]]:
    """Open a connection for each activity, if not of another caller then of `billing`."""
    with ExitStack() as stack:
        connections = {activity: stack.enter_context(program.connect(caller)) for activity in ACTIVITIES}
        for activity, connection in connections.items():
            activity(connection)
        yield connections


def read_to_the_end(connection: Connection) -> bytes:
    """Read until the server has ended the connection, in whatever way."""
    data = b""
    try:
        while piece := connection.tls.recv(1 << 14):
            data += piece
    except CUT_OFF:
        pass
    return data


@contextmanager
def unaffected(program: Program) -> Iterator[None]:
    """Have a request of another client under way, and see that it is answered, as is the next one."""
    with audit(program) as other:
        other.send(GET_SLOW)
        time.sleep(0.2)
        yield
        assert other.answer().status == 200
        assert other.get().status == 200


def revoke(program: Program) -> None:
    deliver_policy(program, revoking_billing(program.world))


def distrust(program: Program) -> None:
    """Trust nobody but an authority that has signed `audit` as well."""
    deliver_policy(program, granting(program.world), pki.authority("next"))


def disown(program: Program) -> None:
    world = program.world
    deliver_policy(program, msgspec.structs.replace(granting(world), sources={"own": ("0" * 64,)}))


def behave(visit: Visit) -> None:
    """As `busy` does, over plain HTTP."""
    while True:
        head = visit.head()
        if b"/download" in head.line:
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MORE_THAN_BUFFERS_HOLD)
            while True:
                visit.say(b"x" * 1000)
                time.sleep(0.01)
        if head.values("upgrade"):
            visit.say(b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            visit.until(b"never")
        for length in head.values("content-length"):
            visit.read(int(length))
        time.sleep(1 if b"/slow" in head.line else 0)
        visit.say(OK)


@pytest.fixture(scope="module")
def behind() -> Iterator[Origin]:
    with origin() as started:
        started.script = behave
        yield started


@pytest.fixture(params=["asgi", "upstream"])
def program(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, behind: Origin
) -> Iterator[Program]:
    arguments = {"asgi": ("asgi", "tests.unit.server.hurried:app"), "upstream": ("upstream", behind.url)}
    with running(world, tmp_path, *arguments[request.param]) as program:
        change(program, granting(world))
        yield program
        assert "Traceback" not in str(program.logs.all)


def test_a_revoked_caller_is_cut_off_from_all_and_nobody_else_notices(program: Program) -> None:
    with unaffected(program), all_under_way(program) as connections:
        revoke(program)
        for connection in connections.values():
            read_to_the_end(connection)
        assert cuts(program, "revoked") == len(ACTIVITIES)


@pytest.mark.parametrize(("lose_trust", "reason"), [(distrust, "distrusted"), (disown, "unknown_source")])
def test_a_caller_for_whom_nobody_vouches_any_more_is_cut_off_from_all(
    program: Program, lose_trust: Callable[[Program], None], reason: str
) -> None:
    with all_under_way(program) as connections:
        lose_trust(program)
        for connection in connections.values():
            read_to_the_end(connection)
        assert cuts(program, reason) == len(ACTIVITIES)


def test_a_caller_that_loses_permission_may_finish_within_the_grace(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", "tests.unit.server.hurried:app") as program:
        change(program, granting(world))
        with unaffected(program), all_under_way(program) as connections:
            start = time.monotonic()
            deliver_policy(program, without_billing(world))
            assert read_to_the_end(connections[idles]) == b""
            assert read_to_the_end(connections[talks]).endswith(CLOSED_1008)
            answer = connections[asks].answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            for activity in (downloads, uploads):
                read_to_the_end(connections[activity])
                assert time.monotonic() - start >= GRACE_SECONDS
        assert cuts(program, "unknown_client") == len(ACTIVITIES)


def test_a_caller_whose_certificate_ends_may_finish_within_the_grace(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", "tests.unit.server.hurried:app") as program:
        assert program.port, "it serves, however long that took"
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
        caller = pki.client(world.client_authority, not_after=end)
        with all_under_way(program, caller) as connections:
            assert read_to_the_end(connections[idles]) == b""
            assert datetime.now(UTC) > end
            assert read_to_the_end(connections[talks]).endswith(CLOSED_1008)
            for activity in (downloads, uploads):
                read_to_the_end(connections[activity])
                assert datetime.now(UTC) > end + timedelta(seconds=GRACE_SECONDS)


def test_a_download_that_is_cut_off_does_not_look_whole_to_callers_of_http_1_0(program: Program) -> None:
    def take_all(connection: Connection) -> None:
        while connection.tls.recv(1 << 14):
            pass

    with program.connect() as billing:
        billing.send(b"GET /download HTTP/1.0\r\n\r\n")
        assert billing.tls.recv(1 << 14).startswith(b"HTTP/1.1 200 ")
        revoke(program)
        with pytest.raises(CUT_OFF):
            take_all(billing)


def test_a_download_that_nobody_reads_is_cut_off(program: Program) -> None:
    with program.connect() as billing:
        billing.send(DOWNLOAD * 2)
        time.sleep(0.5)
        revoke(program)
        program.logs.expect(event="connection_cut", reason="revoked")
        eventually(lambda: "mtls_server_connections 0.0" in program.ask_admin("/metrics")[1])
