"""What a change of policy or trust does to clients that are connected."""

import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from mtls_server.contract import Client, Policy
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, Connection, Program, running

GET_HELD = b"GET /held HTTP/1.1\r\nHost: orders\r\n\r\n"
GET_STUCK = b"GET /stuck HTTP/1.1\r\nHost: orders\r\n\r\n"
GET_SLOW = b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 1000000\r\n\r\n"
AUDIT_URI = pki.BILLING_URI.replace("billing", "audit")
CUT_OFF = ssl.SSLEOFError, ConnectionResetError, BrokenPipeError


@pytest.fixture
def program(world: World, tmp_path: Path) -> Iterator[Program]:
    with running(world, tmp_path, "asgi", "tests.unit.server.apps:mirror") as program:
        change(program, granting(world))
        yield program


def granting(world: World, **changes: object) -> Policy:
    """Grant `billing` and `audit`, but for the changes."""
    policy = pki.policy(world.client_authority)
    clients = {**policy.clients, AUDIT_URI: Client("audit")}
    return msgspec.structs.replace(policy, clients=clients, **changes)


def without_billing(world: World) -> Policy:
    return msgspec.structs.replace(granting(world), clients={AUDIT_URI: Client("audit")})


def revoking_billing(world: World) -> Policy:
    return granting(world, revoked={pki.BILLING_URI: datetime.now(UTC)})


def change(program: Program, policy: Policy, *anchors: pki.Issued) -> None:
    """Deliver a renewed server certificate with another policy, and wait until it serves."""
    assert program.port, "what was delivered before serves"
    number = len(program.logs.matching(event="generation_published")) + 1
    deliver_policy(program, policy, *anchors)
    program.logs.expect(event="generation_published", generation=number)


def deliver_policy(program: Program, policy: Policy, *anchors: pki.Issued) -> None:
    world = program.world
    served = pki.server(world.server_authority)
    deliver(program.directory, pki.files(served, *(anchors or (world.client_authority,)), granted=policy))


def audit(program: Program) -> Connection:
    return program.connect(pki.client(program.world.client_authority, uri=AUDIT_URI, common_name="audit"))


def drip(connection: Connection, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection.send(b"drip")
        time.sleep(0.01)


def cuts(program: Program, reason: str) -> float:
    name = f'mtls_server_connections_cut_total{{reason="{reason}"}}'
    lines = program.ask_admin("/metrics")[1].splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith(name))


def test_an_idle_client_is_cut_when_it_is_revoked(program: Program) -> None:
    with program.connect() as billing, audit(program) as other:
        assert (billing.get().status, other.get().status) == (200, 200)
        deliver_policy(program, revoking_billing(program.world))
        assert billing.ends_with_close_notify()
        assert other.get().json["client"] == "audit"
    line = program.logs.expect(event="connection_cut")
    assert line["reason"] == "revoked"
    assert line["certificate"]["serial"] == f"{billing.caller.certificate.serial_number:x}"
    assert cuts(program, "revoked") == 1


def test_a_revoked_client_gets_403_when_it_comes_back(program: Program) -> None:
    change(program, revoking_billing(program.world))
    answer = program.get()
    assert (answer.status, answer.reason) == (403, "revoked")


def test_a_request_of_a_revoked_client_is_cut_off(program: Program) -> None:
    with program.connect() as billing:
        billing.send(GET_STUCK)
        time.sleep(0.2)
        deliver_policy(program, revoking_billing(program.world))
        with pytest.raises(CUT_OFF):
            billing.answer()


def test_an_upload_of_a_revoked_client_is_cut_off(program: Program) -> None:
    with program.connect() as billing:
        billing.send(UPLOAD)
        stop = threading.Timer(0.3, deliver_policy, (program, revoking_billing(program.world)))
        stop.start()
        with pytest.raises(CUT_OFF):
            drip(billing, PATIENCE)
        stop.join()


def test_clients_of_a_distrusted_authority_are_cut(program: Program) -> None:
    fresh = pki.authority("next")
    policy = msgspec.structs.replace(granting(program.world), sources={"own": (fresh.spki,)})
    with program.connect() as billing, audit(program) as other:
        assert (billing.get().status, other.get().status) == (200, 200)
        deliver_policy(program, policy, fresh)
        assert billing.ends_with_close_notify()
        assert other.ends_with_close_notify()
    assert cuts(program, "distrusted") == 2


def test_an_idle_client_that_is_listed_no_more_is_let_go(program: Program) -> None:
    with program.connect() as billing, audit(program) as other:
        assert (billing.get().status, other.get().status) == (200, 200)
        deliver_policy(program, without_billing(program.world))
        assert billing.ends_with_close_notify()
        assert other.get().status == 200
    assert cuts(program, "unknown_client") == 1


def test_a_request_that_has_begun_is_answered_before_the_client_is_let_go(program: Program) -> None:
    with program.connect() as billing, audit(program) as other:
        billing.send(GET_HELD)
        assert other.get().status == 200
        change(program, without_billing(program.world))
        assert other.get("/release").status == 200
        answer = billing.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert billing.ends_with_close_notify()


def test_an_upload_that_has_begun_is_finished_before_the_client_is_let_go(program: Program) -> None:
    with program.connect() as billing:
        billing.send(b"POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 10\r\n\r\nhello")
        time.sleep(0.2)
        change(program, without_billing(program.world))
        time.sleep(0.2)
        billing.send(b"world")
        assert billing.answer().json["body"] == "helloworld"
        assert billing.ends_with_close_notify()


def test_a_request_whose_head_is_half_sent_has_not_begun(program: Program) -> None:
    with program.connect() as billing:
        assert billing.get().status == 200
        billing.send(GET_SLOW[:20])
        time.sleep(0.2)
        change(program, without_billing(program.world))
        time.sleep(0.2)
        billing.send(GET_SLOW[20:])
        answer = billing.answer()
        assert (answer.status, answer.reason) == (403, "unknown_client")
        assert billing.ends_with_close_notify()


def test_requests_that_wait_behind_another_have_not_begun(program: Program) -> None:
    with program.connect() as billing, audit(program) as other:
        billing.send(GET_HELD + GET_HELD)
        assert other.get().status == 200
        change(program, without_billing(program.world))
        assert other.get("/release").status == 200
        assert billing.answer().status == 200
        assert billing.ends_with_close_notify()


def test_new_roles_hold_from_the_next_request_on(program: Program) -> None:
    clients = {pki.BILLING_URI: Client("billing", ("writer",))}
    with program.connect() as billing:
        assert billing.get().json["identity"]["roles"] == ["reader"]
        billing.send(GET_SLOW)
        time.sleep(0.2)
        change(program, msgspec.structs.replace(granting(program.world), clients=clients))
        before, after = billing.answer().json["identity"], billing.get().json["identity"]
    assert (before["roles"], before["tenant"]) == (["reader"], "acme")
    assert (after["roles"], after["tenant"]) == (["writer"], None)
    assert after["tls"] == before["tls"]
    assert cuts(program, "unknown_client") == 0


def test_a_renewal_of_the_server_certificate_lets_nobody_go(program: Program) -> None:
    with program.connect() as billing:
        first = billing.get().json
        for _ in range(3):
            change(program, granting(program.world))
            assert billing.get().json["tls"]["server_cert"] == first["tls"]["server_cert"]
        metrics = program.ask_admin("/metrics")[1]
    newest = len(program.logs.matching(event="generation_published"))
    assert f'mtls_server_generation_connections{{generation="{newest - 3}"}} 1.0' in metrics
    assert f'mtls_server_generation_connections{{generation="{newest}"}} 0.0' in metrics
    assert f"mtls_server_delivery_lag_seconds_count {newest - 1}.0" in metrics
