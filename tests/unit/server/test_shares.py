"""What one caller may take of what all share: connections, and the threads of WSGI applications."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import pytest

from mtls_server.backends.wsgi.threads import Threads
from mtls_server.contract import Client
from mtls_server.tls.shares import Shares
from mtls_server.tls.transport import TlsTransport
from tests.unit.server import pki
from tests.unit.server.backends.chats import opened
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, Program, running
from tests.unit.server.tls.harness import eventually

SHIPPING_URI = pki.BILLING_URI.replace("billing", "shipping")
SLOW = b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n"


def deliver_two_clients(world: World, directory: Path) -> None:
    both = {pki.BILLING_URI: Client("billing"), SHIPPING_URI: Client("shipping")}
    policy = msgspec.structs.replace(pki.policy(world.client_authority), clients=both)
    served = pki.server(world.server_authority)
    deliver(directory / "certs", pki.files(served, world.client_authority, granted=policy))


@pytest.fixture
def program(world: World, tmp_path: Path) -> Iterator[Program]:
    deliver_two_clients(world, tmp_path)
    arguments = ("--caller-connections", "2", "asgi", "tests.unit.server.apps:chat")
    with running(world, tmp_path, *arguments, deliver_first=False) as program:
        yield program


@pytest.fixture
def shipping(world: World) -> pki.Issued:
    return pki.client(world.client_authority, uri=SHIPPING_URI)


def test_beyond_its_share_of_connections_a_caller_is_refused_and_no_other(
    program: Program, shipping: pki.Issued
) -> None:
    with program.connect() as first, program.connect() as second:
        with program.connect() as third:
            answer = third.get()
            assert (answer.status, answer.reason) == (503, "too_many_connections")
            assert answer.headers["connection"] == "close"
            assert third.ends_with_close_notify()
        assert [one.get().status for one in (first, second)] == [404, 404]
        with program.connect(shipping) as other:
            assert other.get().status == 404
        line = program.logs.expect(event="peer_refused", reason="too_many_connections")
        assert line["certificate"]["subject"] == "CN=billing"
    metrics = program.ask_admin("/metrics")[1]
    assert 'mtls_server_refused_peers_total{reason="too_many_connections"} 1.0' in metrics


def test_a_connection_that_ends_makes_room_for_another(program: Program) -> None:
    for _ in range(5):
        with program.connect() as first, program.connect() as second:
            assert [one.get().status for one in (first, second)] == [404, 404]
        eventually(lambda: "mtls_server_connections 0.0" in program.ask_admin("/metrics")[1])


def test_a_connection_beyond_the_share_is_not_waited_for(program: Program) -> None:
    with program.connect(), program.connect(), program.connect() as silent:
        assert silent.ends_with_close_notify()


def test_websockets_count(program: Program) -> None:
    with opened(program) as first, opened(program) as second:
        assert "billing" in str(first.recv())
        assert "billing" in str(second.recv())
        assert program.get().reason == "too_many_connections"


def test_a_renewed_certificate_gives_no_second_share(program: Program, world: World) -> None:
    with program.connect(), program.connect(), program.connect(pki.client(world.client_authority)) as renewed:
        assert renewed.get().reason == "too_many_connections"


def test_peers_that_are_not_served_have_one_share_together(program: Program, world: World) -> None:
    strangers = [pki.client(world.client_authority, uri=f"{pki.BILLING_URI}{number}") for number in range(3)]
    with ExitStack() as stack:
        *_, last = [stack.enter_context(program.connect(stranger)) for stranger in strangers]
        assert last.ends_with_close_notify(), "sooner than a connection within a share"
        assert program.get().status == 404


def test_a_caller_that_has_gone_is_forgotten() -> None:
    shares = Shares(1, lambda _: "billing")
    connections = [cast("TlsTransport", object()) for _ in range(3)]
    for connection in connections:
        shares.add(connection)
    assert [shares.exceeds(connection) for connection in connections] == [False, True, True]
    for connection in connections:
        shares.discard(connection)
    assert not shares._connections
    assert not shares._excess


def test_one_caller_leaves_threads_to_others(world: World, tmp_path: Path, shipping: pki.Issued) -> None:
    deliver_two_clients(world, tmp_path)
    hello = "tests.unit.server.backends.wsgi_apps:hello"
    arguments = ("wsgi", hello, "--threads", "3", "--caller-threads", "2")
    with running(world, tmp_path, *arguments, deliver_first=False) as program, ExitStack() as stack:
        greedy = [stack.enter_context(program.connect()) for _ in range(5)]
        for one in greedy:
            one.send(b"GET /stuck HTTP/1.1\r\nHost: orders\r\n\r\n")
        with program.connect(shipping) as other:
            assert other.get().status == 200
        assert program.process.poll() is None


async def test_requests_beyond_a_share_of_threads_wait_their_turn() -> None:
    threads = Threads(count=3, share=2)
    gates = [threading.Event() for _ in range(4)]
    begun: list[int] = []

    def job(number: int) -> None:
        begun.append(number)
        gates[number].wait(PATIENCE)

    greedy = [threads.run(partial(job, number), "greedy") for number in range(3)]
    other = threads.run(partial(job, 3), "other")
    gates[3].set()
    await asyncio.wait_for(other, PATIENCE)
    assert sorted(begun) == [0, 1, 3]
    gates[1].set()
    gates[2].set()
    await asyncio.wait_for(greedy[2], PATIENCE)
    assert not greedy[0].done()
    gates[0].set()
    await asyncio.gather(*greedy)
    assert not threads._under_way
    assert not threads._waiting


@pytest.mark.parametrize("announced", [4, 40_000], ids=["body", "half a body"])
def test_nothing_is_kept_of_who_leaves_while_waiting_for_a_thread(
    world: World, tmp_path: Path, announced: int
) -> None:
    hello = "tests.unit.server.backends.wsgi_apps:hello"
    arguments = ("--access-log", "wsgi", hello, "--threads", "2", "--caller-threads", "1")
    with running(world, tmp_path, *arguments) as program, program.connect() as greedy:
        assert program.process.stdout is not None
        greedy.send(b"GET /endless HTTP/1.1\r\nHost: orders\r\n\r\n")
        greedy.tls.recv(1)
        with program.connect(greedy.caller) as leaving:
            leaving.send(b"POST /left HTTP/1.1\r\nHost: orders\r\nContent-Length: %d\r\n\r\nbody" % announced)
        line = json.loads(program.process.stdout.readline())
        assert (line["path"], line["aborted"]) == ("/left", True)
