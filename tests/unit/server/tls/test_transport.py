"""The transport keeps asyncio's contract, and OpenSSL's."""

import asyncio
import itertools
import socket
import ssl
import time
from typing import ClassVar

import pytest

from mtls_server.files.material import Generation
from mtls_server.tls.readiness import Blocked, Call, next_calls
from mtls_server.tls.sockets import Limits
from mtls_server.tls.transport import MAX_RECORD, MAX_SEND, TlsTransport
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import PATIENCE
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
from tests.unit.server.tls.native import request_key_update

MIB = 1 << 20
SMALL = 1 << 12


@pytest.fixture(scope="session")
def context(world: World, billing: pki.Issued) -> ssl.SSLContext:
    return client_context(world.server_authority, billing)


class Spy(ssl.SSLSocket):
    """The server's socket, keeping account of the calls; a test may make OpenSSL's rarer answers happen."""

    calls: ClassVar[list[tuple[str, int]]] = []
    stubborn: ClassVar[dict[str, list[type[ssl.SSLError]]]] = {}

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        self._answer("recv")
        data = super().recv(buflen, flags)
        self.calls.append(("recv", len(data)))
        return data

    def send(self, data: object, flags: int = 0) -> int:
        size = len(memoryview(data))  # type: ignore[arg-type]
        try:
            self._answer("send")
            super().send(data, flags)  # type: ignore[arg-type]
        except ssl.SSLError:
            self.calls.append(("send pending", size))
            raise
        self.calls.append(("send", size))
        return size

    def _answer(self, call: str) -> None:
        if self.stubborn.get(call):
            raise self.stubborn[call].pop()(f"{call} as the test says")


@pytest.fixture
def spy(world: World) -> Generation:
    """A generation whose sockets are spies."""
    Spy.calls.clear()
    Spy.stubborn.clear()
    generation = world.generation()
    generation.context.sslsocket_class = Spy
    return generation


@pytest.mark.parametrize(
    ("blocked", "reading", "writing", "expected"),
    [
        (Blocked.NO, True, False, (Call.RECEIVE, None)),
        (Blocked.NO, True, True, (Call.RECEIVE, Call.FLUSH)),
        (Blocked.NO, False, True, (None, Call.FLUSH)),
        (Blocked.NO, False, False, (None, None)),
        (Blocked.SEND_UNTIL_WRITABLE, True, True, (None, Call.FLUSH)),
        (Blocked.SEND_UNTIL_READABLE, False, True, (Call.FLUSH, None)),
        (Blocked.RECV_UNTIL_WRITABLE, True, False, (None, Call.RECEIVE)),
        (Blocked.RECV_UNTIL_WRITABLE, False, True, (None, Call.RECEIVE)),
    ],
)
def test_a_blocked_call_alone_is_repeated(
    blocked: Blocked, *, reading: bool, writing: bool, expected: tuple[Call | None, Call | None]
) -> None:
    assert next_calls(blocked, reading=reading, writing=writing) == expected


# Reading


def test_each_readiness_takes_one_record_and_leaves_none_behind(
    serve: Serve, spy: Generation, context: ssl.SSLContext
) -> None:
    server = serve(Recorder, generation=spy)
    with connect(server, context) as tls:
        tls.sendall(bytes(MIB))
        recorder = server.protocol()
        eventually(lambda: len(recorder.received) == MIB)
    assert {size for _, size in Spy.calls if size} == {MAX_RECORD}


def test_a_paused_protocol_gets_nothing_and_afterwards_everything(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(Recorder)
    with connect(server, context) as tls:
        recorder = server.protocol()
        transport = recorder.transport
        server.call(transport.pause_reading)
        server.call(transport.pause_reading)
        assert not server.call(transport.is_reading)
        tls.sendall(bytes(3 * MAX_RECORD))
        time.sleep(0.05)
        assert not recorder.received
        server.call(transport.resume_reading)
        server.call(transport.resume_reading)
        assert server.call(transport.is_reading)
        eventually(lambda: len(recorder.received) == 3 * MAX_RECORD)


class PausingAtEachPiece(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.pause_reading()
        asyncio.get_running_loop().call_soon(self.transport.resume_reading)


def test_nothing_stalls_when_every_piece_pauses_the_reading(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(PausingAtEachPiece)
    with connect(server, context) as tls:
        for size in (1, 100, MAX_RECORD, MAX_RECORD + 1, 3 * MAX_RECORD):
            tls.sendall(bytes(size))
        eventually(lambda: len(server.protocol().received) == 101 + 5 * MAX_RECORD + 1)


class FirstOfTwo(Recorder):
    """Where data has come for both, stops the other one before it gets its own."""

    both: ClassVar[list["FirstOfTwo"]]
    stop: ClassVar[str]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        (other,) = (one for one in self.both if one is not self)
        if not other.received:
            getattr(other.transport, self.stop)()


def received_by_both_at_once(
    serve: Serve, context: ssl.SSLContext, stop: str
) -> tuple[FirstOfTwo, FirstOfTwo]:
    """Send to two connections that the loop finds readable in one pass; return the first and the other."""
    server = serve(FirstOfTwo)
    with connect(server, context) as one, connect(server, context) as two:
        FirstOfTwo.both = [server.protocol(number) for number in (0, 1)]  # type: ignore[misc]
        FirstOfTwo.stop = stop
        server.loop.call_soon_threadsafe(time.sleep, 0.2)
        one.sendall(b"hello")
        two.sendall(b"hello")
        eventually(lambda: any(protocol.received for protocol in FirstOfTwo.both))
        time.sleep(0.05)
        first, other = sorted(FirstOfTwo.both, key=lambda protocol: not protocol.received)
        assert not other.received
        if stop == "pause_reading":
            server.call(other.transport.resume_reading)
            eventually(lambda: other.received == b"hello")
        return first, other


def test_who_is_paused_after_the_receipt_is_told_when_it_resumes(
    serve: Serve, context: ssl.SSLContext
) -> None:
    first, other = received_by_both_at_once(serve, context, "pause_reading")
    assert first.received == other.received == b"hello"


@pytest.mark.parametrize("stop", ["close", "abort"])
def test_who_closes_after_the_receipt_is_told_nothing_more(
    serve: Serve, context: ssl.SSLContext, stop: str
) -> None:
    _, other = received_by_both_at_once(serve, context, stop)
    eventually(lambda: other.lost)
    assert not other.received


def test_a_recv_that_must_write_first_is_repeated(
    serve: Serve, spy: Generation, context: ssl.SSLContext
) -> None:
    server = serve(Echo, generation=spy)
    with connect(server, context) as tls:
        Spy.stubborn["recv"] = [ssl.SSLWantWriteError] * 3
        tls.sendall(b"hello")
        assert receive(tls, 5) == b"hello"


# Writing


class Answer(Recorder):
    """Answers every piece with the same writes."""

    writes: tuple[bytes, ...] = (b"head", b"body", b"", b"!")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        for write in self.writes:
            self.transport.write(write)


def test_the_writes_of_one_pass_leave_in_one_send(
    serve: Serve, spy: Generation, context: ssl.SSLContext
) -> None:
    server = serve(Answer, generation=spy)
    with connect(server, context) as tls:
        tls.sendall(b"x")
        assert tls.recv(100) == b"headbody!"
        eventually(lambda: [size for call, size in Spy.calls if call == "send"] == [9])


def test_writelines_sends_all_kinds_of_bytes_in_order(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    with connect(server, context) as tls:
        transport = server.protocol().transport
        server.call(transport.writelines, [b"one", bytearray(b"two"), memoryview(b"three")])
        assert receive(tls, 11) == b"onetwothree"
        with pytest.raises(TypeError):
            server.call(transport.write, "text")


def narrow(transport: TlsTransport) -> None:
    """Give the server's socket a small buffer, so that a large send blocks halfway."""
    own = transport.get_extra_info("socket")
    assert isinstance(own, socket.socket)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)


def test_a_pending_send_is_repeated_with_the_same_bytes_or_more(
    serve: Serve, spy: Generation, context: ssl.SSLContext
) -> None:
    """And holds at most 64 KiB; the client reads slowly, and the protocol writes on meanwhile."""
    server = serve(Recorder, generation=spy)
    pieces = [bytes([number]) * (number * 997 % 50_000) for number in range(256)]
    with connect(server, context, dial(server, receive_buffer=SMALL)) as tls:
        transport = server.protocol().transport
        narrow(transport)
        for piece in pieces:
            server.call(transport.write, piece)
        assert receive(tls, sum(map(len, pieces))) == b"".join(pieces)
    sends = [(call, size) for call, size in Spy.calls if call.startswith("send")]
    assert any(call == "send pending" for call, _ in sends)
    for (call, size), (_, next_size) in itertools.pairwise(sends):
        assert size <= MAX_SEND
        if call == "send pending":
            assert next_size >= size


def test_a_send_that_must_read_first_is_repeated(
    serve: Serve, spy: Generation, context: ssl.SSLContext
) -> None:
    server = serve(Echo, generation=spy)
    with connect(server, context) as tls:
        Spy.stubborn["send"] = [ssl.SSLWantReadError]
        tls.sendall(b"hello ")
        time.sleep(0.05)
        tls.sendall(b"again")
        assert receive(tls, 11) == b"hello again"


def test_the_protocol_is_paused_and_resumed_by_the_limits(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    with connect(server, context, dial(server, receive_buffer=SMALL)) as tls:
        recorder = server.protocol()
        transport = recorder.transport
        assert transport.get_write_buffer_limits() == (1 << 14, 1 << 16)
        server.call(transport.write, bytes(32 * MIB))
        server.call(transport.write, b"end")
        assert recorder.events == ["pause"]
        assert server.call(transport.get_write_buffer_size) > 1 << 16
        assert receive(tls, 32 * MIB + 3)[-3:] == b"end"
        eventually(lambda: recorder.events == ["pause", "resume"])
        assert server.call(transport.get_write_buffer_size) == 0


def test_the_limits_can_be_set_as_in_asyncio(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    with connect(server, context):
        transport = server.protocol().transport

        def limits(high: int | None = None, low: int | None = None) -> tuple[int, int]:
            server.call(lambda: transport.set_write_buffer_limits(high, low))
            return transport.get_write_buffer_limits()

        assert limits(1000) == (250, 1000)
        assert limits(low=1000) == (1000, 4000)
        assert limits(0) == (0, 0)
        assert limits() == (1 << 14, 1 << 16)
        with pytest.raises(ValueError, match="low"):
            limits(1, 2)


def test_with_limits_of_zero_every_write_pauses_until_it_is_sent(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(Recorder)
    with connect(server, context) as tls:
        recorder = server.protocol()
        server.call(recorder.transport.set_write_buffer_limits, 0)
        server.call(recorder.transport.write, b"x")
        assert tls.recv(1) == b"x"
        eventually(lambda: recorder.events == ["pause", "resume"])


def test_large_bodies_pass_both_ways_at_once_with_a_slow_reader(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(EchoWithFlowControl)
    sent = bytes(range(256)) * (8 * MIB // 256)
    client = ByteClient(server, context)
    client.shake_hands()
    received = bytearray()
    for start in range(0, len(sent), MIB):
        client.tls.write(sent[start : start + MIB])
        records = memoryview(client.outgoing.read())
        client.raw.setblocking(False)  # noqa: FBT003 - the name of a socket method's argument
        while records:
            try:
                records = records[client.raw.send(records[:50_000]) :]
            except BlockingIOError:
                time.sleep(0.001)
                client.raw.setblocking(True)  # noqa: FBT003 - as above
                client.pull()
                client.raw.setblocking(False)  # noqa: FBT003 - as above
    client.raw.settimeout(PATIENCE)
    received += client.receive(len(sent))
    assert received == sent
    client.raw.close()


class EchoWithFlowControl(Echo):
    """Takes no more in than it can give out."""

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


# KeyUpdate: the client asks for the server's next key


def test_keys_are_updated_between_requests(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Echo)
    with connect(server, context) as tls:
        for number in range(20):
            assert request_key_update(tls)
            tls.sendall(b"%05d" % number)
            assert receive(tls, 5) == b"%05d" % number


def test_a_key_update_during_a_pending_send_harms_nothing(
    serve: Serve, spy: Generation, context: ssl.SSLContext
) -> None:
    server = serve(Recorder, generation=spy)
    with connect(server, context, dial(server, receive_buffer=SMALL)) as tls:
        recorder = server.protocol()
        narrow(recorder.transport)
        server.call(recorder.transport.write, bytes(MIB))
        eventually(lambda: Spy.calls and Spy.calls[-1][0] == "send pending")
        assert request_key_update(tls)
        tls.sendall(b"hello")
        time.sleep(0.05)
        assert not recorder.received
        assert receive(tls, MIB) == bytes(MIB)
        eventually(lambda: recorder.received == b"hello")
        server.call(recorder.transport.write, b"done")
        assert receive(tls, 4) == b"done"
    for (call, _), (following, _) in itertools.pairwise(Spy.calls):
        assert call != "send pending" or following.startswith("send")


# The end


class Closing(Recorder):
    """Answers at length, and closes."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(bytes(4 * MIB))
        self.transport.close()
        self.transport.write(b"too late")


def test_close_sends_what_is_buffered_then_close_notify(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Closing)
    with connect(server, context) as tls:
        tls.sendall(b"x")
        assert receive(tls, 5 * MIB) == bytes(4 * MIB)
        assert tls.recv(1) == b""  # and not SSLEOFError
    recorder = server.protocol()
    eventually(lambda: recorder.lost == [None])
    assert recorder.transport.is_closing()


def test_the_last_bytes_arrive_though_the_client_is_still_sending(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(Closing)
    with connect(server, context) as tls:
        tls.sendall(bytes(2 * MIB))
        assert receive(tls, 5 * MIB) == bytes(4 * MIB)
        assert tls.recv(1) == b""
    recorder = server.protocol()
    eventually(lambda: recorder.lost == [None])
    assert len(recorder.received) <= MAX_RECORD


def test_a_client_that_never_ends_is_lingered_for_briefly(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Closing)
    with connect(server, context) as tls:
        tls.sendall(b"x")
        receive(tls, 4 * MIB)
        assert tls.recv(1) == b""
        assert server.call(lambda: server.listener.connections) == 1
        eventually(lambda: server.listener.connections == 0)


def test_abort_cuts_the_stream_off(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    with connect(server, context) as tls:
        recorder = server.protocol()
        server.call(recorder.transport.write, b"hello")
        assert tls.recv(5) == b"hello"
        server.call(recorder.transport.abort)
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            tls.recv(1)
    eventually(lambda: recorder.lost == [None])


@pytest.mark.parametrize("reading", [True, False])
def test_abort_amid_a_pending_send_ends_at_once(
    serve: Serve, spy: Generation, context: ssl.SSLContext, *, reading: bool
) -> None:
    server = serve(Recorder, generation=spy)
    with connect(server, context, dial(server, receive_buffer=SMALL)):
        recorder = server.protocol()
        narrow(recorder.transport)
        if not reading:
            server.call(recorder.transport.pause_reading)
        server.call(recorder.transport.write, bytes(MIB))
        eventually(lambda: Spy.calls and Spy.calls[-1][0] == "send pending")
        server.call(recorder.transport.abort)
        eventually(lambda: recorder.lost == [None])
        eventually(lambda: server.listener.connections == 0)


@pytest.mark.parametrize("closing", [True, False])
def test_a_reset_amid_a_pending_send_is_an_abort(
    serve: Serve, spy: Generation, context: ssl.SSLContext, *, closing: bool
) -> None:
    server = serve(Recorder, generation=spy)
    client = connect(server, context, dial(server, receive_buffer=SMALL))
    recorder = server.protocol()
    narrow(recorder.transport)
    server.call(recorder.transport.write, bytes(MIB))
    eventually(lambda: Spy.calls and Spy.calls[-1][0] == "send pending")
    if closing:
        server.call(recorder.transport.close)
    reset(client)
    eventually(lambda: len(recorder.lost) == 1)
    assert isinstance(recorder.lost[0], ConnectionError)
    eventually(lambda: server.listener.connections == 0)


class HalfOpen(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.keep_open_at_eof = True


def half_closed(server: TlsServer, context: ssl.SSLContext) -> ByteClient:
    """Return a client that has sent a request, and will say nothing more."""
    client = ByteClient(server, context)
    client.shake_hands()
    client.send(b"request")
    client.send_close_notify()
    return client


def test_after_a_half_close_the_response_is_finished(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(HalfOpen)
    client = half_closed(server, context)
    recorder = server.protocol()
    eventually(lambda: recorder.events == ["eof"])
    assert not server.call(recorder.transport.is_reading)
    server.call(recorder.transport.write, b"response")
    server.call(recorder.transport.close)
    assert client.receive(100) == b"response"
    eventually(lambda: recorder.lost == [None])
    client.raw.close()


def test_a_reset_after_a_half_close_is_noticed_before_there_is_a_response(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(HalfOpen)
    client = half_closed(server, context)
    recorder = server.protocol()
    eventually(lambda: recorder.events == ["eof"])
    assert server.listener.connections == 1
    reset(client.raw)
    eventually(lambda: len(recorder.lost) == 1)
    assert isinstance(recorder.lost[0], ConnectionResetError)


def test_who_ends_in_order_is_found_to_be_gone_though_it_could_have_waited_for_its_response(
    serve: Serve, context: ssl.SSLContext
) -> None:
    """Its kernel knows nothing of the connection, after a while that is a minute by default."""
    server = serve(HalfOpen, limits=Limits(stalled_seconds=2))
    client = half_closed(server, context)
    client.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
    client.raw.close()
    recorder = server.protocol()
    eventually(lambda: recorder.lost)
    assert recorder.events == ["eof"]
    assert isinstance(recorder.lost[0], ConnectionError)


def test_a_reset_ends_the_lingering(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Closing)
    tls = connect(server, context)
    tls.sendall(b"x")
    receive(tls, 4 * MIB)
    assert tls.recv(1) == b""
    (lingering,) = server.call(lambda: tuple(server.listener._closing))
    reset(tls)
    eventually(lambda: server.listener.connections == 0)
    assert lingering._timer.cancelled()


def test_a_half_close_closes_where_the_protocol_does_not_object(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(Recorder)
    with connect(server, context) as tls:
        tls.unwrap().close()
    recorder = server.protocol()
    eventually(lambda: recorder.lost == [None])
    assert recorder.events == ["eof"]


def test_a_stream_without_close_notify_is_an_abort(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(HalfOpen)
    with connect(server, context) as tls:
        tls.sendall(b"x")
    recorder = server.protocol()
    eventually(lambda: len(recorder.lost) == 1)
    assert isinstance(recorder.lost[0], ssl.SSLEOFError)
    assert recorder.events == []


def test_a_reset_is_an_abort(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    recorder_of = server.protocol
    reset(connect(server, context))
    eventually(lambda: len(recorder_of().lost) == 1)
    assert isinstance(recorder_of().lost[0], ConnectionResetError)


def test_a_client_that_goes_amid_a_response_is_noticed(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Closing)
    tls = connect(server, context, dial(server, receive_buffer=SMALL))
    tls.sendall(b"x")
    tls.recv(1)
    tls.close()
    recorder = server.protocol()
    eventually(lambda: len(recorder.lost) == 1)
    eventually(lambda: server.listener.connections == 0)


def test_a_spoilt_record_is_answered_with_an_alert(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    client = ByteClient(server, context)
    client.shake_hands()
    client.raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.receive(1)
    recorder = server.protocol()
    eventually(lambda: len(recorder.lost) == 1)
    assert isinstance(recorder.lost[0], ssl.SSLError)
    client.raw.close()


def test_write_eof_is_not_to_be_had(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    with connect(server, context):
        transport = server.protocol().transport
        assert not transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            server.call(transport.write_eof)


# Once it closes, nothing more passes: neither way, in clear or not


def test_after_close_notify_clear_text_reaches_no_protocol(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    client = ByteClient(server, context)
    client.shake_hands()
    client.send_close_notify()
    client.raw.sendall(b"GET /injected HTTP/1.1\r\n\r\n" * 100)
    recorder = server.protocol()
    eventually(lambda: recorder.lost == [None])
    server.call(recorder.transport.write, b"clear text")
    server.call(recorder.transport.resume_reading)
    time.sleep(0.05)
    assert not recorder.received
    wire = b""
    while piece := client.raw.recv(1 << 16):
        wire += piece
    assert b"clear text" not in wire
    client.raw.close()


def test_a_dead_transport_cannot_touch_the_next_client_on_its_descriptor(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(Echo)
    first = connect(server, context)
    first.sendall(b"one two")
    assert receive(first, 7) == b"one two"
    dead = server.protocol(0)
    descriptor = dead.transport.get_extra_info("socket").fileno()  # type: ignore[attr-defined]
    reset(first)
    eventually(lambda: dead.lost)
    with connect(server, context) as second:
        alive = server.protocol(1)
        assert alive.transport.get_extra_info("socket").fileno() == descriptor  # type: ignore[attr-defined]
        for method in ("pause_reading", "resume_reading", "close", "abort"):
            server.call(getattr(dead.transport, method))
        server.call(dead.transport.write, b"astray")
        second.sendall(b"mine")
        assert receive(second, 4) == b"mine"
        assert dead.received == b"one two"
        assert len(dead.lost) == 1


@pytest.mark.parametrize("ending", ["close", "abort"])
def test_every_method_does_nothing_after_the_end(serve: Serve, context: ssl.SSLContext, ending: str) -> None:
    server = serve(Recorder)
    with connect(server, context):
        recorder = server.protocol()
        transport = recorder.transport
        server.call(getattr(transport, ending))
        eventually(lambda: recorder.lost == [None])
        for method in ("pause_reading", "resume_reading", "close", "abort"):
            server.call(getattr(transport, method))
        server.call(transport.write, b"x" * MIB)
        server.call(transport.writelines, [b"x", b"y"])
        assert server.call(transport.get_write_buffer_size) == 0
        assert transport.is_closing()
        assert not transport.is_reading()
        assert recorder.lost == [None]
        assert recorder.events == []


# Protocols


def test_another_protocol_can_take_over(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    with connect(server, context) as tls:
        first = server.protocol()
        second = Echo()
        second.transport = first.transport
        server.call(first.transport.set_protocol, second)
        assert first.transport.get_protocol() is second
        tls.sendall(b"hello")
        assert receive(tls, 5) == b"hello"
        assert not first.received
    eventually(lambda: len(second.lost) == 1)
    assert not first.lost


def test_who_takes_over_amid_a_response_that_nobody_reads_is_paused_too(
    serve: Serve, context: ssl.SSLContext
) -> None:
    server = serve(Recorder)
    with connect(server, context, dial(server, receive_buffer=SMALL)):
        transport, second = server.protocol().transport, Recorder()
        server.call(transport.write, bytes(32 * MIB))
        server.call(transport.set_protocol, second)
        assert second.events == []
        server.call(transport.write, b"more")
        assert second.events == ["pause"]


def test_a_protocol_of_buffers_is_refused(serve: Serve, context: ssl.SSLContext) -> None:
    server = serve(Recorder)
    with connect(server, context):
        transport = server.protocol().transport
        with pytest.raises(TypeError, match="stream of bytes"):
            server.call(transport.set_protocol, asyncio.BufferedProtocol())
