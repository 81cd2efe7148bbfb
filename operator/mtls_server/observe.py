"""What the server tells people: a log line per event, and metrics that name no client."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from mtls_server import events
from mtls_server.files.faults import MaterialError
from mtls_server.files.material import Generation
from mtls_server.identity import Refusal
from mtls_server.live import Cut
from mtls_server.metrics import Breakdown, Durations, Vocabulary
from mtls_server.tls.failures import Presented

HANDSHAKE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REQUEST_BUCKETS: Final = (*HANDSHAKE_BUCKETS, 30.0, 60.0)
LAG_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Telemetry:
    """Logs and counts what the listener, the watcher and the HTTP gate report."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        ProcessCollector(registry=registry)
        self._registry = registry
        self._handshakes = Counter(
            "mtls_server_handshakes",
            "TLS handshakes by result (ok, failed), reason in words, and protocol version.",
            ("result", "reason", "version"),
            registry=registry,
        )
        self._passed = cache(partial(self._handshakes.labels, "ok", ""))
        self._failures = Vocabulary()
        handshakes = Durations(
            "mtls_server_handshake_seconds", "Duration of successful TLS handshakes.", HANDSHAKE_BUCKETS
        )
        registry.register(handshakes)
        self._handshake_took = handshakes.observe
        requests = Durations(
            "mtls_server_request_seconds",
            "Time from a request's turn on its connection to the end of its response.",
            REQUEST_BUCKETS,
        )
        registry.register(requests)
        self.request_answered = requests.observe
        self._open = 0
        Gauge(
            "mtls_server_connections", "Connections whose handshake succeeded, open now.", registry=registry
        ).set_function(lambda: self._open)
        self._failed_connections = Counter(
            "mtls_server_failed_connections",
            "Connections on which TLS broke after the handshake, by reason in words.",
            ("reason",),
            registry=registry,
        )
        self._refusals = Counter(
            "mtls_server_refused_peers",
            "Peers refused after the handshake, by reason code.",
            ("reason",),
            registry=registry,
        )
        decisions = Counter(
            "mtls_server_decisions",
            "Peers that connected, by result (served, refused) and the part of the policy that decided.",
            ("result", "by"),
            registry=registry,
        )
        self._decided = cache(decisions.labels)
        self._rules = Vocabulary()
        self._forbidden = Counter(
            "mtls_server_refused_requests",
            "Requests refused, by reason code and the route of the policy that decided.",
            ("reason", "route"),
            registry=registry,
        )
        self._routes = Vocabulary()
        self._cuts = Counter(
            "mtls_server_connections_cut",
            "Connections ended because their peer is served no more, by reason code.",
            ("reason",),
            registry=registry,
        )
        self._reloads = Counter(
            "mtls_server_reloads",
            "Attempts to serve new files, by result (ok, refused) and reason code.",
            ("result", "reason"),
            registry=registry,
        )
        self._lag = Histogram(
            "mtls_server_delivery_lag_seconds",
            "Time from when new files were mounted until they served; the first ones left out.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._generation = Gauge(
            "mtls_server_generation", "Number of the generation in service; 0 is none.", registry=registry
        )
        self._not_after = Gauge(
            "mtls_server_certificate_not_after_seconds",
            "End of validity of the certificate in service, in seconds since the epoch.",
            registry=registry,
        )
        self._anchors_not_after = Gauge(
            "mtls_server_anchor_not_after_seconds",
            "End of validity of each trust anchor in service, in seconds since the epoch.",
            ("key_id",),
            registry=registry,
        )

    def count_connections(self, by_generation: Callable[[], Mapping[str, int]]) -> None:
        """Tell how many connections each generation has, by its number."""
        self._registry.register(
            Breakdown(
                "mtls_server_generation_connections",
                "Connections open now, by the number of the generation that they shook hands with.",
                "generation",
                by_generation,
            )
        )

    def handshake_failed(self, peername: object, reason: str, presented: Presented | None) -> None:
        """Write the one line that says who was refused and why."""
        self._handshakes.labels("failed", self._failures.bound(reason), "").inc()
        events.handshake_failed(peername, reason, presented)

    def handshake_done(self, version: str, seconds: float) -> None:
        """Count a client that passed."""
        self._passed(version).inc()
        self._handshake_took(seconds)

    def connection_opened(self) -> None:
        """Count one up."""
        self._open += 1

    def connection_closed(self) -> None:
        """Count one down."""
        self._open -= 1

    def connection_failed(self, peername: object, reason: str) -> None:
        """Write one line about a connection on which TLS broke."""
        self._failed_connections.labels(self._failures.bound(reason)).inc()
        events.connection_failed(peername, reason)

    def accepting_paused(self, reason: str) -> None:
        """Warn that no connection is accepted for now."""
        events.accepting_paused(reason)

    def peer_refused(self, peername: object, leaf: bytes, refusal: Refusal) -> None:
        """Write one line about a peer that passed the handshake and is not served."""
        self._refusals.labels(refusal.reason).inc()
        events.peer_refused(peername, leaf, refusal)

    def peer_judged(self, by: str, *, served: bool) -> None:
        """Count a decision."""
        self._decided("served" if served else "refused", self._rules.bound(by)).inc()

    def request_refused(self, reason: str, route: str) -> None:
        """Count a request that no route lets pass."""
        self._forbidden.labels(reason, self._routes.bound(route)).inc()

    def connection_cut(self, reason: str) -> None:
        """Count a connected peer that is served no more."""
        self._cuts.labels(reason).inc()

    def cut_explained(self, cut: Cut) -> None:
        """Write one line about a connected peer that is served no more."""
        events.connection_cut(cut)

    def generation_published(self, generation: Generation, lag: float) -> None:
        """Say which certificate serves from now on, and how many seconds after it was mounted."""
        self._reloads.labels("ok", "").inc()
        self._generation.set(generation.number)
        self._not_after.set(generation.not_after.timestamp())
        self._anchors_not_after.clear()
        for key_id, end in zip(generation.anchors, generation.anchors_not_after, strict=True):
            self._anchors_not_after.labels(key_id).set(end.timestamp())
        if generation.number > 1:
            self._lag.observe(lag)
        events.generation_published(generation)

    def generation_confirmed(self, generation: Generation) -> None:
        """Say that a refusal is over."""
        events.generation_confirmed(generation)

    def delivery_refused(self, error: MaterialError) -> None:
        """Say why new files do not serve; what served before still does."""
        self._reloads.labels("refused", error.fault).inc()
        events.delivery_refused(error)
