"""Who is refused in the handshake: the alert the client gets, and the one line that says why."""

import socket
import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from statistics import median
from typing import ClassVar

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls_server.files.context import TlsSettings
from mtls_server.files.material import Peer
from mtls_server.tls.failures import RESET
from mtls_server.tls.sockets import Limits
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.tls.conftest import Serve
from tests.unit.server.tls.harness import (
    ByteClient,
    TlsServer,
    client_context,
    connect,
    dial,
    eventually,
    receive,
    reset,
)

TLS_1_2 = ssl.TLSVersion.TLSv1_2
HOUR = timedelta(hours=1)
TCP_CLOSE = b"\x07"
"""The first byte of the kernel's ``struct tcp_info``, its state, after RST or a timeout."""


def exchange(server: TlsServer, context: ssl.SSLContext) -> None:
    """Shake hands, send a request and read the first byte of its answer."""
    tls = connect(server, context)
    try:
        tls.sendall(b"hello")
        tls.recv(1)
    finally:
        tls.close()


def alert_seen(server: TlsServer, context: ssl.SSLContext) -> str:
    with pytest.raises(ssl.SSLError) as refused:
        exchange(server, context)
    assert not isinstance(refused.value, ssl.SSLEOFError), "the alert was lost"
    return refused.value.reason.partition("ALERT_")[2].lower()


def no_certificate(_world: World) -> None:
    return None


def of_another_authority(_world: World) -> pki.Issued:
    return pki.client(pki.authority("stranger"))


def expired(world: World) -> pki.Issued:
    return pki.client(world.client_authority, not_before=pki.NOW - 2 * HOUR, not_after=pki.NOW - HOUR)


def for_servers(world: World) -> pki.Issued:
    return pki.client(world.client_authority, usages=[ExtendedKeyUsageOID.SERVER_AUTH])


ALERTS: list[tuple[Callable[[World], pki.Issued | None], str, str]] = [
    (no_certificate, "certificate_required", "client sent no certificate"),
    (of_another_authority, "unknown_ca", "unable to get local issuer certificate"),
    (expired, "certificate_expired", "certificate has expired"),
    (for_servers, "unsupported_certificate", "unsuitable certificate purpose"),
]


@pytest.mark.parametrize(("present", "alert", "reason"), ALERTS)
def test_the_client_sees_why_it_is_refused(
    serve: Serve,
    world: World,
    present: Callable[[World], pki.Issued | None],
    alert: str,
    reason: str,
) -> None:
    presented = present(world)
    server = serve()
    context = client_context(world.server_authority, presented)
    assert alert_seen(server, context) == alert
    failure = server.failure()
    assert failure.reason == reason
    assert server.protocols == []
    if presented is None:
        assert failure.presented is None
    else:
        assert failure.presented is not None
        assert failure.presented.serial == f"{presented.certificate.serial_number:x}"
        assert failure.presented.subject == presented.certificate.subject.rfc4514_string()
        assert failure.presented.not_after == presented.certificate.not_valid_after_utc


def test_an_old_protocol_version_is_refused(serve: Serve, world: World, billing: pki.Issued) -> None:
    server = serve()
    context = client_context(world.server_authority, billing, maximum_version=TLS_1_2)
    assert alert_seen(server, context) == "protocol_version"
    assert server.failure().reason == "TLS version not supported"


def test_with_tls_1_2_admitted_a_missing_certificate_is_a_handshake_failure(
    serve: Serve, world: World
) -> None:
    server = serve(generation=world.generation(settings=TlsSettings(minimum_version=TLS_1_2)))
    context = client_context(world.server_authority, maximum_version=TLS_1_2)
    assert alert_seen(server, context) == "handshake_failure"
    assert server.failure().reason == "client sent no certificate"


def test_the_alert_outlives_what_the_client_is_still_sending(serve: Serve, world: World) -> None:
    server = serve()
    with connect(server, client_context(world.server_authority)) as tls:
        tls.sendall(bytes(1 << 20))
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            tls.recv(1)


def test_a_client_that_does_not_trust_us_is_told_apart(serve: Serve, billing: pki.Issued) -> None:
    server = serve()
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, client_context(pki.authority("other"), billing))
    failure = server.failure()
    assert failure.reason == "client does not trust our certificate"
    assert failure.presented is None


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n",
        b"CONNECT orders:443 HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        bytes(64),
        b"\xff" * 64,
        bytes(range(256)),
    ],
)
def test_who_speaks_no_tls_is_told_so(serve: Serve, words: bytes) -> None:
    server = serve()
    with dial(server) as raw:
        raw.sendall(words)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(1 << 16):
            pass
    assert server.failure().reason == "not a TLS client"


def test_who_leaves_without_a_word_is_one_line(serve: Serve) -> None:
    server = serve()
    with dial(server) as raw:
        address = raw.getsockname()
    failure = server.failure()
    assert failure.reason == "client closed the connection during the handshake"
    assert failure.peername == address


def test_who_resets_before_the_handshake_is_one_line(serve: Serve) -> None:
    server = serve()
    reset(dial(server))
    assert server.failure().reason == "client reset the connection during the handshake"
    eventually(lambda: not server.listener.connections)


def test_who_resets_amid_the_handshake_is_one_line(serve: Serve, world: World, billing: pki.Issued) -> None:
    server = serve()
    client = ByteClient(server, client_context(world.server_authority, billing))
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.push()
    client.pull()
    reset(client.raw)
    assert server.failure().reason == "client reset the connection during the handshake"


def test_who_resets_while_it_is_asked_whether_it_is_slow_is_one_line(serve: Serve) -> None:
    """The kernel tells of a reset once; after that OpenSSL's object is made of a socket without a peer."""
    server = serve()
    raw = dial(server)
    eventually(lambda: server.listener.connections)

    def ask() -> None:
        (handshake,) = server.listener._handshakes
        reset(raw)
        while handshake.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != TCP_CLOSE:
            time.sleep(0.001)
        assert not handshake.is_delayed_by_client(0, 0)

    server.call(ask)
    assert server.failure().reason == "client reset the connection during the handshake"
    eventually(lambda: not server.listener.connections)


@pytest.mark.parametrize("sent", [1, 100])
def test_who_connects_and_holds_is_dropped_at_the_deadline(
    serve: Serve, world: World, billing: pki.Issued, sent: int
) -> None:
    server = serve(limits=Limits(handshake_seconds=1))
    start = time.monotonic()
    client = ByteClient(server, client_context(world.server_authority, billing))
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.raw.sendall(client.outgoing.read()[:sent])
    with client.raw:
        assert ended(client.raw)
        assert time.monotonic() - start > 0.9
    assert server.failure().reason == "handshake took longer than 1 s"


def test_who_connects_and_says_nothing_is_dropped_sooner(serve: Serve) -> None:
    server = serve(limits=Limits(first_byte_seconds=0.2))
    start = time.monotonic()
    with dial(server) as silent:
        assert ended(silent)
        assert time.monotonic() - start > 0.1
    assert server.failure().reason == "client sent nothing"


def ended(raw: socket.socket) -> bool:
    try:
        return raw.recv(1) == b""
    except ConnectionResetError:  # closed with unread bytes
        return True


def test_a_handshake_may_come_byte_by_byte(serve: Serve, world: World, billing: pki.Issued) -> None:
    server = serve()
    client = ByteClient(server, client_context(world.server_authority, billing))
    client.shake_hands(one_byte_at_a_time=True)
    client.send(b"hello")
    assert client.receive(5) == b"hello"
    client.raw.close()


class Blocked(ssl.SSLSocket):
    """The server's socket, whose buffer is full at first."""

    refusals: ClassVar[int]

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the parent's
        if type(self).refusals:
            type(self).refusals -= 1
            raise ssl.SSLWantWriteError
        super().do_handshake(block)


def test_a_handshake_that_must_write_first_goes_on_when_it_can(
    serve: Serve, world: World, billing: pki.Issued
) -> None:
    generation = world.generation()
    generation.context.sslsocket_class = Blocked
    Blocked.refusals = 3
    server = serve(generation=generation)
    with connect(server, client_context(world.server_authority, billing)) as tls:
        tls.sendall(b"hello")
        assert receive(tls, 5) == b"hello"
    assert Blocked.refusals == 0


class BlockedAtLast(ssl.SSLSocket):
    """The server's socket, whose buffer is full when it comes to the last message; it counts its reads."""

    refusals: ClassVar[int]
    reads: ClassVar[int]

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the parent's
        super().do_handshake(block)
        if type(self).refusals:
            type(self).refusals -= 1
            raise ssl.SSLWantWriteError

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        type(self).reads += 1
        return super().recv(size, flags)


def test_a_handshake_that_ends_by_writing_is_followed_by_waiting_for_the_client(
    serve: Serve, world: World, billing: pki.Issued
) -> None:
    """And not for what can be written, which is always the case."""
    generation = world.generation()
    generation.context.sslsocket_class = BlockedAtLast
    BlockedAtLast.refusals, BlockedAtLast.reads = 1, 0
    server = serve(generation=generation)
    with connect(server, client_context(world.server_authority, billing)) as tls:
        server.protocol()
        time.sleep(0.1)
        assert BlockedAtLast.refusals == BlockedAtLast.reads == 0
        tls.sendall(b"hello")
        assert receive(tls, 5) == b"hello"


def test_what_follows_the_handshake_in_one_piece_is_heard(
    serve: Serve, world: World, billing: pki.Issued
) -> None:
    server = serve()
    client = ByteClient(server, client_context(world.server_authority, billing))
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.push()
    client.pull()
    client.tls.do_handshake()
    client.tls.write(b"hello")
    client.push()
    assert client.receive(5) == b"hello"
    client.raw.close()


def test_who_resets_right_after_its_last_word_is_lost_once(
    serve: Serve, world: World, billing: pki.Issued
) -> None:
    """Whether the server has noticed by the end of the handshake, or later, is left to chance."""
    server = serve()
    context = client_context(world.server_authority, billing)
    for _ in range(20):
        client = ByteClient(server, context)
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        client.push()
        client.pull()
        client.tls.do_handshake()
        client.push()
        reset(client.raw)
    eventually(lambda: len(server.log.failures) + server.log.closed == 20)
    assert server.log.opened == server.log.closed
    assert {failure.reason for failure in server.log.failures} <= {RESET}
    eventually(lambda: server.listener.connections == 0)


def test_an_admitted_client_is_judged_and_described(serve: Serve, world: World, billing: pki.Issued) -> None:
    server = serve()
    with connect(server, client_context(world.server_authority, billing)) as tls:
        address = tls.getsockname()
        transport = server.protocol().transport

        def asked(name: str) -> object:
            return server.call(transport.get_extra_info, name)

        peer = asked("mtls_peer")
        assert isinstance(peer, Peer)
        assert peer.identity is not None
        assert peer.identity.client == "billing"
        assert peer.chain == (billing.der, world.client_authority.der)
        assert asked("peername") == address
        assert asked("sockname") == ("127.0.0.1", server.port)
        assert asked("cipher") == tls.cipher()
        assert asked("peercert")["subject"] == ((("commonName", "billing"),),)  # type: ignore[index]
        assert asked("socket").getpeername() == address  # type: ignore[attr-defined]
        assert asked("ssl_object").version() == "TLSv1.3"  # type: ignore[attr-defined]
        assert asked("sslcontext")
        assert asked("no such thing") is None
    assert server.log.versions == ["TLSv1.3"]
    eventually(lambda: server.log.closed == server.log.opened == 1)
    assert asked("cipher") is None


def test_connections_over_ipv6_have_an_address(serve: Serve, world: World, billing: pki.Issued) -> None:
    server = serve(host="::1")
    with connect(server, client_context(world.server_authority, billing), dial(server, host="::1")) as tls:
        tls.sendall(b"x")
        assert tls.recv(1) == b"x"
        transport = server.protocol().transport
        own = transport.get_extra_info("socket")
        assert isinstance(own, socket.socket)
        assert own.getpeername()[0] == "::1"


def test_a_resumed_session_is_judged_by_its_leaf_alone(
    serve: Serve, world: World, billing: pki.Issued
) -> None:
    """TLS 1.2 skips the verification then, so there is no chain (and no session at all in TLS 1.3)."""
    server = serve(generation=world.generation(settings=TlsSettings(minimum_version=TLS_1_2)))
    context = client_context(world.server_authority, billing, maximum_version=TLS_1_2)
    with connect(server, context) as first:
        first.sendall(b"x")
        assert first.recv(1) == b"x"
        session = first.session
        first.unwrap()
    raw = dial(server)
    with context.wrap_socket(raw, server_hostname=pki.SERVER_NAMES[0], session=session) as second:
        second.sendall(b"x")
        assert second.recv(1) == b"x"
        assert second.session_reused
    peers = [protocol.transport.get_extra_info("mtls_peer") for protocol in server.protocols]
    assert [peer.identity.client for peer in peers] == ["billing", "billing"]  # type: ignore[attr-defined]


def test_a_connection_keeps_the_generation_it_began_with(
    serve: Serve, world: World, billing: pki.Issued
) -> None:
    served = [world.generation(1)]
    server = serve(generation=lambda: served[-1])
    context = client_context(world.server_authority, billing)
    with connect(server, context) as old:
        served.append(world.generation(2))
        with connect(server, context) as new:
            assert int(old.getpeercert()["serialNumber"], 16) == int(served[0].serial, 16)  # type: ignore[index, arg-type]
            assert int(new.getpeercert()["serialNumber"], 16) == int(served[1].serial, 16)  # type: ignore[index, arg-type]
            for tls in (old, new):
                tls.sendall(b"still there")
                assert receive(tls, 11) == b"still there"


def test_a_client_with_nagles_algorithm_does_not_wait_for_a_delayed_ack(
    serve: Serve, world: World, billing: pki.Issued
) -> None:
    server = serve()
    context = client_context(world.server_authority, billing)
    waits = []
    for _ in range(9):
        with connect(server, context) as tls:
            start = time.perf_counter()
            tls.sendall(b"x")
            tls.recv(1)
            waits.append(time.perf_counter() - start)
    assert median(waits) < 0.02
