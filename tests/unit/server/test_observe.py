"""What is counted and logged, and what never is."""

import logging
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from mtls_server.identity import Reason, Refusal
from mtls_server.observe import Telemetry
from mtls_server.tls.failures import Presented
from tests.unit.server import pki
from tests.unit.server.conftest import World

PEER = ("10.0.0.1", 40000)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def telemetry(registry: CollectorRegistry) -> Telemetry:
    return Telemetry(registry)


def fields(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    (record,) = caplog.records
    found: dict[str, object] = record.__dict__["fields"]
    return found


def test_a_failed_handshake_is_one_line_and_one_count(
    telemetry: Telemetry, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    presented = Presented("CN=billing", "1f", datetime(2026, 1, 1, tzinfo=UTC))
    telemetry.handshake_failed(PEER, "certificate has expired", presented)
    assert fields(caplog) == {
        "event": "handshake_failed",
        "peer": "10.0.0.1:40000",
        "reason": "certificate has expired",
        "presented": {
            "subject": "CN=billing",
            "serial": "1f",
            "not_after": datetime(2026, 1, 1, tzinfo=UTC),
            "note": "as presented, possession unproven",
        },
    }
    labels = {"result": "failed", "reason": "certificate has expired", "version": ""}
    assert registry.get_sample_value("mtls_server_handshakes_total", labels) == 1


@pytest.mark.parametrize(
    ("peername", "words"),
    [(PEER, "10.0.0.1:40000"), (("::1", 1, 0, 0), "[::1]:1"), (None, "unknown"), ("", "unknown")],
)
def test_an_address_is_written_as_in_a_url(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture, peername: object, words: str
) -> None:
    telemetry.handshake_failed(peername, "client sent no certificate", None)
    assert fields(caplog) == {
        "event": "handshake_failed",
        "peer": words,
        "reason": "client sent no certificate",
    }


def test_connections_are_counted_up_and_down(telemetry: Telemetry, registry: CollectorRegistry) -> None:
    telemetry.handshake_done("TLSv1.3", 0.002)
    telemetry.connection_opened()
    telemetry.connection_opened()
    telemetry.connection_closed()
    assert registry.get_sample_value("mtls_server_connections") == 1
    assert registry.get_sample_value("mtls_server_handshake_seconds_count") == 1


def test_a_refused_peer_is_named_in_the_log_but_not_in_the_metrics(
    world: World, telemetry: Telemetry, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caller = pki.client(world.client_authority)
    telemetry.peer_refused(
        PEER, caller.der, Refusal(Reason.UNKNOWN_CLIENT, "the policy lists no such client")
    )
    assert caplog.messages == ["peer refused: the policy lists no such client"]
    assert "CN=billing" in str(fields(caplog)["certificate"])
    assert b"billing" not in generate_latest(registry)


def test_a_generation_is_described_without_its_certificate(
    world: World, telemetry: Telemetry, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    generation = world.generation(number=3)
    telemetry.generation_published(generation, 0.2)
    assert fields(caplog)["serial"] == generation.serial
    assert "BEGIN" not in str(fields(caplog))
    assert registry.get_sample_value("mtls_server_generation") == 3
    not_after = registry.get_sample_value("mtls_server_certificate_not_after_seconds")
    assert not_after == generation.not_after.timestamp()
