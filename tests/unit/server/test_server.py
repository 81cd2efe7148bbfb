"""How the server ends: nobody who was let in is failed, and it does not take for ever."""

import resource
import signal
import socket
import ssl
import time
from pathlib import Path

import pytest

from mtls_server.service import limits_within
from mtls_server.tls.sockets import Limits
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import PATIENCE, Connection, Program, running
from tests.unit.server.tls.harness import eventually

MIRROR = "tests.unit.server.apps:mirror"
SOON = 20.0
"""Seconds; less than the grace, in which everything ends anyhow."""
GET = b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"
GET_SLOW = b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n"
GET_STUCK = b"GET /stuck HTTP/1.1\r\nHost: orders\r\n\r\n"


def terminate(program: Program) -> None:
    program.process.send_signal(signal.SIGTERM)
    eventually(lambda: program.ask_admin("/readyz") == (503, "draining\n"))


def accepts(program: Program) -> bool:
    try:
        socket.create_connection(("127.0.0.1", program.port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


def until_it_accepts_no_more(program: Program) -> None:
    eventually(lambda: not accepts(program))


def test_all_descriptors_that_may_be_had_are_used(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program:
        assert program.get().status == 200
        soft, hard = resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard


@pytest.mark.parametrize(("descriptors", "connections"), [(100, 1), (1024, 896), (1 << 20, 10_000)])
def test_descriptors_are_spared_for_files_and_probes(descriptors: int, connections: int) -> None:
    assert limits_within(descriptors) == Limits(connections=connections)


def test_a_backend_that_connects_for_each_client_has_room_for_half_as_many() -> None:
    assert limits_within(1024, 2) == Limits(connections=448)


def test_for_a_while_the_server_is_unready_but_accepts(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "--drain-delay", "1", "asgi", MIRROR) as program:
        eventually(lambda: program.ask_admin("/readyz")[0] == 200)
        terminate(program)
        answer = program.get()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert program.process.wait(SOON) == 0


def test_from_the_signal_on_responses_send_clients_elsewhere(world: World, tmp_path: Path) -> None:
    arguments = "--drain-delay", "5", "asgi", MIRROR
    with running(world, tmp_path, *arguments) as program, program.connect() as connected:
        assert "connection" not in connected.get().headers
        terminate(program)
        answer = connected.get()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert connected.ends_with_close_notify()


def test_a_second_signal_ends_at_once(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as stuck:
        stuck.send(GET_STUCK)
        terminate(program)
        until_it_accepts_no_more(program)
        start = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - start < SOON
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            stuck.answer()


def test_who_has_just_connected_gets_an_answer(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as fresh:
        terminate(program)
        until_it_accepts_no_more(program)
        answer = fresh.get()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert program.process.wait(SOON) == 0


def test_who_has_just_connected_and_says_nothing_is_not_waited_for(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as silent:
        terminate(program)
        assert program.process.wait(SOON) == 0
        assert silent.ends_with_close_notify()


def test_who_has_not_begun_the_handshake_is_not_waited_for(world: World, tmp_path: Path) -> None:
    with (
        running(world, tmp_path, "asgi", MIRROR) as program,
        socket.create_connection(("127.0.0.1", program.port), PATIENCE),
    ):
        time.sleep(0.1)
        terminate(program)
        assert program.process.wait(SOON) == 0


def test_a_request_whose_head_is_half_sent_is_answered(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as slow:
        assert slow.get().status == 200
        slow.send(GET[:20])
        terminate(program)
        until_it_accepts_no_more(program)
        time.sleep(0.1)
        slow.send(GET[20:])
        answer = slow.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert program.process.wait(SOON) == 0


def test_pipelined_requests_are_all_answered(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as pipelining:
        pipelining.send(GET_SLOW + GET)
        time.sleep(0.2)
        terminate(program)
        assert [pipelining.answer().status, pipelining.answer().status] == [200, 200]
        assert pipelining.ends_with_close_notify()
        assert program.process.wait(SOON) == 0


def test_a_handshake_under_way_is_finished(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program:
        raw = socket.create_connection(("127.0.0.1", program.port), PATIENCE)
        time.sleep(0.1)
        terminate(program)
        until_it_accepts_no_more(program)
        caller = pki.client(world.client_authority)
        context = pki.client_context(world.server_authority, caller, tmp_path)
        with Connection(context.wrap_socket(raw, server_hostname="orders"), caller) as late:
            assert late.get().status == 200
        assert program.process.wait(SOON) == 0


def half_close(connection: Connection) -> None:
    """Send close_notify and read on."""
    connection.tls.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):
        connection.tls.unwrap()
    connection.tls.settimeout(PATIENCE)


def test_after_a_half_close_the_request_is_answered(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as leaving:
        leaving.send(GET_SLOW)
        half_close(leaving)
        answer = leaving.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        with pytest.raises(ssl.SSLZeroReturnError):  # close_notify, on a connection that has sent its own
            leaving.tls.recv(1)
