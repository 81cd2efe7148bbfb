"""Which metrics there are, as the documentation lists them, and what bounds them."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from mtls_server.backends.upstream.failures import TIMEOUT
from mtls_server.backends.upstream.telemetry import UpstreamTelemetry
from mtls_server.identity import Reason, Refusal
from mtls_server.metrics import MAX_VALUES, OTHER, Durations, Vocabulary
from mtls_server.observe import Telemetry
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import ROOT

MANUAL = ROOT / "docs" / "server.md"
PEER = ("192.0.2.7", 4711)


def documented(manual: Path) -> dict[str, tuple[str, set[str]]]:
    """Return type and labels of each metric that the manual lists."""
    lines = (line for line in manual.read_text().splitlines() if line.startswith("| `mtls_server_"))
    rows = [[cell.replace("`", "").strip() for cell in line.split("|")[1:4]] for line in lines]
    return {name: (kind, set(labels.replace(",", "").split())) for name, kind, labels in rows}


def described(metric: Metric) -> tuple[str, set[str]]:
    return metric.type, {label for sample in metric.samples for label in sample.labels} - {"le"}


@pytest.fixture
def registry(world: World) -> CollectorRegistry:
    """Everything that can be told has been told once."""
    registry, behind = CollectorRegistry(), UpstreamTelemetry()
    telemetry = Telemetry(registry)
    for metric in behind.metrics:
        registry.register(metric)
    telemetry.count_connections(lambda: {"1": 2})
    telemetry.handshake_failed(PEER, "client sent no certificate", None)
    telemetry.connection_failed(PEER, "client sent a malformed record")
    telemetry.handshake_done("TLSv1.3", 0.002)
    telemetry.connection_opened()
    telemetry.peer_judged("rules[0]", served=True)
    telemetry.peer_refused(PEER, pki.client(world.client_authority).der, Refusal(Reason.DENIED, "denied"))
    telemetry.request_refused("no_route", "none")
    telemetry.request_answered(0.01)
    telemetry.connection_cut("revoked")
    telemetry.generation_published(world.generation(number=2), 0.2)
    behind.connection_opened()
    behind.request_begun(kept=True)
    behind.response_begun(0.01)
    behind.failed(TIMEOUT, "request failed")
    return registry


def test_the_documentation_lists_them_all(registry: CollectorRegistry) -> None:
    ours = {one.name: described(one) for one in registry.collect() if one.name.startswith("mtls_server_")}
    assert ours == documented(MANUAL)


def test_none_names_a_client(registry: CollectorRegistry) -> None:
    values = {
        value for metric in registry.collect() for one in metric.samples for value in one.labels.values()
    }
    assert not any("billing" in value or PEER[0] in value for value in values)


def test_rules_routes_and_reasons_are_bounded() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    for number in range(MAX_VALUES + 10):
        telemetry.peer_judged(f"rules[{number}]", served=True)
        telemetry.request_refused("missing_role", f"routes[{number}]")
        telemetry.handshake_failed(PEER, f"reason {number}", None)
    for name, labels in (
        ("decisions", {"result": "served", "by": OTHER}),
        ("refused_requests", {"reason": "missing_role", "route": OTHER}),
        ("handshakes", {"result": "failed", "reason": OTHER, "version": ""}),
    ):
        assert registry.get_sample_value(f"mtls_server_{name}_total", labels) == 10


def test_a_value_that_is_known_stays_known() -> None:
    vocabulary = Vocabulary(most=2)
    assert [vocabulary.bound(value) for value in "abcab"] == ["a", "b", OTHER, "a", "b"]


def test_durations_add_up_as_prometheus_has_them() -> None:
    registry = CollectorRegistry()
    durations = Durations("seconds", "Some.", (0.1, 1.0))
    registry.register(durations)
    for seconds in (0.05, 0.1, 0.5, 7.0):
        durations.observe(seconds)
    buckets = [registry.get_sample_value("seconds_bucket", {"le": bound}) for bound in ("0.1", "1.0", "+Inf")]
    assert buckets == [2, 3, 4]
    assert registry.get_sample_value("seconds_count") == 4
    assert registry.get_sample_value("seconds_sum") == pytest.approx(7.65)


def test_an_anchor_that_is_gone_is_told_no_more(world: World) -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    telemetry.generation_published(world.generation(), 0)
    served = World().generation(number=2)
    telemetry.generation_published(served, 0)
    (metric,) = (one for one in registry.collect() if one.name == "mtls_server_anchor_not_after_seconds")
    assert [sample.labels["key_id"] for sample in metric.samples] == list(served.anchors)
