"""How many are admitted, and what happens when there is no room, no descriptor, no protocol."""

import contextlib
import errno
import gc
import os
import resource
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtls_server.tls.sockets import Limits, bind
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.tls.conftest import Serve
from tests.unit.server.tls.harness import (
    ByteClient,
    Echo,
    Recorder,
    TlsServer,
    client_context,
    connect,
    dial,
    eventually,
    receive,
    reset,
)

CONNECTIONS = int(os.environ.get("MTLS_CONNECTIONS", "2000"))


@pytest.fixture(scope="session")
def context(world: World, billing: pki.Issued) -> ssl.SSLContext:
    return client_context(world.server_authority, billing)


def answered(server: TlsServer, context: ssl.SSLContext, raw: socket.socket | None = None) -> bool:
    with connect(server, context, raw) as tls:
        tls.sendall(b"hello")
        return receive(tls, 5) == b"hello"


# Limits


def test_at_the_limit_of_connections_new_clients_wait(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(limits=Limits(connections=2))
    with connect(server, context) as first, connect(server, context):
        waiting = dial(server)
        eventually(lambda: not server.listener.accepting)
        with ThreadPoolExecutor() as executor:
            third = executor.submit(answered, server, context, waiting)
            time.sleep(0.05)
            assert not third.done()
            assert server.listener.connections == 2
            first.unwrap().close()
            assert third.result()
    eventually(lambda: server.listener.accepting)


def test_at_the_limit_of_handshakes_new_clients_wait_no_longer_than_the_deadline(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(limits=Limits(handshakes=3, handshake_seconds=1.5, crowded_hello_seconds=60))
    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(dial(server)).sendall(b"\x16")
        eventually(lambda: not server.listener.accepting)
        assert answered(server, context)
    assert [failure.reason for failure in server.log.failures] == ["handshake took longer than 1.5 s"] * 3


def test_clients_that_begin_and_go_no_further_do_not_keep_others_waiting(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(limits=Limits(handshakes=10, handshake_seconds=600))
    with contextlib.ExitStack() as held:
        for _ in range(25):
            held.enter_context(dial(server)).sendall(b"\x16")
        assert answered(server, context)
        assert {failure.reason for failure in server.log.failures} == {"client was slow while others waited"}


def test_clients_that_await_our_answer_and_go_no_further_are_given_more_time(
    serve: Serve, context: ssl.SSLContext
) -> None:
    limits = Limits(handshakes=2, crowded_handshake_seconds=0.6)
    server = serve(limits=limits)
    start = time.monotonic()
    held = [ByteClient(server, context) for _ in range(2)]
    for client in held:
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        client.push()
        client.pull()
    assert answered(server, context)
    assert time.monotonic() - start > limits.crowded_handshake_seconds
    assert {failure.reason for failure in server.log.failures} == {"client was slow while others waited"}
    for client in held:
        client.raw.close()


def test_silent_clients_do_not_keep_others_waiting(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(limits=Limits(handshakes=10, first_byte_seconds=600, handshake_seconds=600))
    with contextlib.ExitStack() as held:
        for _ in range(25):
            held.enter_context(dial(server))
        assert answered(server, context)
        assert {failure.reason for failure in server.log.failures} == {"client sent nothing"}


def test_silent_clients_at_the_limit_of_connections_go_too(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(limits=Limits(connections=2))
    with connect(server, context) as held, dial(server):
        assert answered(server, context)
        held.sendall(b"hello")
        assert receive(held, 5) == b"hello"


def test_who_has_spoken_is_not_silent_though_the_loop_was_too_busy_to_hear(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(limits=Limits(handshakes=1, crowded_hello_seconds=0.5))
    raw = dial(server)
    eventually(lambda: not server.listener.accepting)
    server.loop.call_soon_threadsafe(time.sleep, 0.7)
    assert answered(server, context, raw)


def test_clients_that_shook_hands_do_not_count_as_handshakes(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(limits=Limits(handshakes=1))
    with connect(server, context), connect(server, context):
        assert answered(server, context)


def test_a_rush_beyond_the_limits_is_served_whole(serve: Serve, context: ssl.SSLContext) -> None:
    patient = Limits(connections=8, handshakes=4, crowded_hello_seconds=60, crowded_handshake_seconds=60)
    server = serve(limits=patient)
    with ThreadPoolExecutor(32) as executor:
        assert all(executor.map(lambda _: answered(server, context), range(100)))
    eventually(lambda: server.listener.connections == 0)
    assert server.log.failures == []


# Shortage


@contextlib.contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """Leave the process so few more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - only names
    fillers = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + left, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(left):
            os.close(fillers.pop())
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_accepting_pauses_and_resumes(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve()
    with connect(server, context) as connected:
        with few_descriptors(left=1), dial(server) as waiting:
            eventually(lambda: server.log.pauses)
            connected.sendall(b"hello")
            assert receive(connected, 5) == b"hello"
            time.sleep(0.2)
            assert server.log.pauses == ["Too many open files"]
            waiting.close()
        assert answered(server, context)


# Clients that go, and protocols that fail


def test_a_client_gone_before_it_is_accepted_harms_nobody(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(limits=Limits(connections=1))
    with connect(server, context) as first:
        eventually(lambda: not server.listener.accepting)
        for _ in range(3):
            reset(dial(server))
        first.unwrap().close()
    assert answered(server, context)
    eventually(lambda: len(server.log.failures) == 3)
    assert {failure.reason for failure in server.log.failures} == {
        "client reset the connection during the handshake"
    }


def test_a_connection_without_protocol_is_closed(serve: Serve, context: ssl.SSLContext) -> None:
    def fail() -> Recorder:
        raise ZeroDivisionError

    server = serve(fail, expected_problems=[ZeroDivisionError])
    with connect(server, context) as tls, pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        tls.recv(1)
    assert server.listener.connections == 0


class Faulty(Echo):
    def data_received(self, data: bytes) -> None:
        if data == b"fail":
            raise ZeroDivisionError
        super().data_received(data)


def test_a_protocol_that_raises_loses_its_connection_and_no_other(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(Faulty, expected_problems=[ZeroDivisionError])
    with connect(server, context) as good, connect(server, context) as bad:
        bad.sendall(b"fail")
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            bad.recv(1)
        good.sendall(b"hello")
        assert receive(good, 5) == b"hello"
    eventually(lambda: server.log.opened == server.log.closed == 2)


def test_a_client_that_stops_reading_is_dropped_in_the_end(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder, limits=Limits(stalled_seconds=0.5))
    with connect(server, context, dial(server, receive_buffer=4096)):
        recorder = server.protocol()
        server.call(recorder.transport.write, bytes(32 << 20))
        eventually(lambda: recorder.lost)
        assert isinstance(recorder.lost[0], TimeoutError)


# Addresses


def test_every_address_of_both_families_is_listened_on() -> None:
    sockets = bind(None, 0, Limits())
    try:
        families = {one.family: one.getsockname()[:2] for one in sockets}
        port = sockets[0].getsockname()[1]
        assert families == {socket.AF_INET: ("0.0.0.0", port), socket.AF_INET6: ("::", port)}  # noqa: S104
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 1).close()
    finally:
        for one in sockets:
            one.close()


class SocketOfKernelWithoutIpv6(socket.socket):
    def __init__(self, family: int = -1, *arguments: int, **named: int) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, *arguments, **named)


def test_without_ipv6_ipv4_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", SocketOfKernelWithoutIpv6)
    (only,) = bind(None, 0, Limits())
    with only:
        assert only.family == socket.AF_INET


def test_a_port_that_is_taken_is_an_error_that_leaves_nothing_open() -> None:
    (first,) = bind("127.0.0.1", 0, Limits())
    with first, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", first.getsockname()[1], Limits())


def test_a_port_can_be_had_again_at_once(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve()
    with connect(server, context) as tls:
        server.call(server.protocol().transport.close)  # our side is the one left in TIME-WAIT
        assert tls.recv(1) == b""
    eventually(lambda: server.listener.connections == 0)
    server.call(server.listener.stop_accepting)
    for one in bind("127.0.0.1", server.port, Limits()):
        one.close()


# Many


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_and_memory_stay_flat_over_many_connections(
    serve: Serve, world: World, context: ssl.SSLContext
) -> None:
    """Admitted, refused, half-closed and reset ones in turn; MTLS_CONNECTIONS sets how many."""
    server = serve()
    refused = client_context(world.server_authority)

    def good() -> None:
        assert answered(server, context)

    def without_certificate() -> None:
        with connect(server, refused) as tls, pytest.raises(ssl.SSLError):
            tls.recv(1)

    def orderly() -> None:
        with connect(server, context) as tls:
            tls.unwrap().close()

    def rude() -> None:
        reset(connect(server, context))

    def at_once(kinds: tuple[Callable[[], None], ...], count: int) -> None:
        with ThreadPoolExecutor(4) as executor:
            for outcome in [executor.submit(kinds[number % len(kinds)]) for number in range(count)]:
                outcome.result()
        eventually(lambda: server.listener.connections == 0)
        server.protocols.clear()
        server.log.failures.clear()
        server.log.versions.clear()
        gc.collect()

    kinds = (good, without_certificate, orderly, rude)
    at_once(kinds, CONNECTIONS // 2)
    before = resident_kib(), descriptors()
    at_once(kinds, CONNECTIONS // 2)
    assert descriptors() == before[1]
    assert resident_kib() - before[0] < 2048


def test_many_connections_at_once_are_held_cheaply(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve()
    with contextlib.ExitStack() as open_ones:
        held = [open_ones.enter_context(connect(server, context)) for _ in range(200)]
        assert server.call(lambda: server.listener.connections) == 200
        for tls in held:
            tls.sendall(b"x")
        assert all(tls.recv(1) == b"x" for tls in held)
    eventually(lambda: server.listener.connections == 0)


@pytest.mark.parametrize("sent", [0, 1_000, 40_000, 200_000])
def test_a_reset_is_noticed_whatever_was_sent_before_it(
    serve: Serve, context: ssl.SSLContext, sent: int
) -> None:
    """Also an error that falls into the handshake, or between it and the first read."""
    server = serve()
    for _ in range(20):
        connection = connect(server, context)
        connection.settimeout(0)
        with contextlib.suppress(ssl.SSLError):
            connection.send(bytes(sent))
        reset(connection)
    eventually(lambda: server.listener.connections == 0)


@pytest.mark.parametrize("size", [1, 20_000, 200_000])
def test_a_reset_is_noticed_though_data_was_waiting(serve: Serve, context: ssl.SSLContext, size: int) -> None:
    """There is more than one record to read before the error shows."""
    server = serve(Recorder)
    connection = connect(server, context)
    recorder = server.protocol()
    server.call(recorder.transport.pause_reading)
    for _ in range(3):
        connection.sendall(bytes(size))
    time.sleep(0.05)
    reset(connection)
    time.sleep(0.05)
    server.call(recorder.transport.resume_reading)
    eventually(lambda: recorder.lost)


def test_a_reset_is_noticed_while_reading_is_paused(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    connection = connect(server, context)
    recorder = server.protocol()
    server.call(recorder.transport.pause_reading)
    reset(connection)
    eventually(lambda: recorder.lost)
    assert isinstance(recorder.lost[0], ConnectionResetError)
