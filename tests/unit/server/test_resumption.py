"""A session that is resumed skips OpenSSL's verification, but never our judgement."""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import Program, running


@pytest.fixture
def program(world: World, tmp_path: Path) -> Iterator[Program]:
    with running(world, tmp_path, "--min-version", "1.2", "identity") as program:
        yield program


def caller(program: Program, version: ssl.TLSVersion, **bent: object) -> ssl.SSLContext:
    issued = pki.client(program.world.client_authority, **bent)  # type: ignore[arg-type]
    context = pki.client_context(program.world.server_authority, issued, program.directory.parent)
    context.maximum_version = version
    return context


def ask(
    program: Program, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None, int]:
    """Ask once, in this session if the server remembers it; return session, whether it did, status."""
    raw = socket.create_connection(("127.0.0.1", program.port), timeout=10)
    with context.wrap_socket(raw, server_hostname="orders", session=session) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n")
        response = http.client.HTTPResponse(tls)
        response.begin()
        response.read()
        tls.recv(1)  # the server's orderly end, without which OpenSSL forgets the session
        return tls.session, tls.session_reused, response.status


def resumed(program: Program, context: ssl.SSLContext) -> ssl.SSLSession | None:
    """Come twice, and return a session that the server has resumed."""
    session, reused, status = ask(program, context, None)
    assert (reused, status) == (False, 200)
    session, reused, status = ask(program, context, session)
    assert (reused, status) == (True, 200)
    return session


def rotate(program: Program, *anchors: pki.Issued, **changes: object) -> None:
    world = program.world
    policy = msgspec.structs.replace(pki.policy(world.client_authority), **changes)
    served = pki.server(world.server_authority)
    files = pki.files(served, *(anchors or (world.client_authority,)), granted=policy)
    deliver(program.directory, files)
    program.logs.expect(event="generation_published", generation=2)


def test_a_session_ends_with_the_generation_that_began_it(program: Program) -> None:
    context = caller(program, ssl.TLSVersion.TLSv1_2)
    session = resumed(program, context)
    rotate(program)
    assert ask(program, context, session)[1:] == (False, 200)


def test_tls_1_3_resumes_nothing(program: Program) -> None:
    context = caller(program, ssl.TLSVersion.TLSv1_3)
    session, reused, _ = ask(program, context, None)
    assert (session is None or not session.has_ticket, reused) == (True, False)


@pytest.mark.parametrize(
    "changes", [{"revoked": {pki.BILLING_URI: pki.NOW}}, {"clients": {}}], ids=["revoked", "listed no more"]
)
def test_a_change_of_policy_holds_for_whoever_comes_with_a_session(
    program: Program, changes: dict[str, object]
) -> None:
    context = caller(program, ssl.TLSVersion.TLSv1_2)
    session = resumed(program, context)
    rotate(program, **changes)
    assert ask(program, context, session)[1:] == (False, 403)


def test_without_its_authority_a_session_is_worth_nothing(program: Program) -> None:
    context = caller(program, ssl.TLSVersion.TLSv1_2)
    session = resumed(program, context)
    fresh = pki.authority("next")
    rotate(program, fresh, sources={"own": (fresh.spki,)})
    with pytest.raises(ssl.SSLError, match="unknown ca"):
        ask(program, context, session)


def test_a_session_does_not_outlive_the_certificate(program: Program) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    context = caller(program, ssl.TLSVersion.TLSv1_2, not_after=end)
    session = resumed(program, context)
    time.sleep((end - datetime.now(UTC)).total_seconds() + 0.1)
    assert ask(program, context, session)[2] == 403
