"""What people are told of the server behind this one: a log line per failure, and metrics."""

import logging
from collections.abc import Sequence
from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge
from prometheus_client.registry import Collector

from mtls_server.http.reply import Reply
from mtls_server.metrics import Durations

LOGGER: Final = logging.getLogger("mtls_server.upstream")
RESPONSE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class UpstreamTelemetry:
    """Logs and counts what connections to the server behind this one report."""

    def __init__(self) -> None:
        self._connections = Gauge(
            "mtls_server_upstream_connections",
            "Connections to the server behind this one, open now.",
            registry=None,
        )
        self._requests = Counter(
            "mtls_server_upstream_requests",
            "Requests passed on, by the connection that they took (new, kept).",
            ("connection",),
            registry=None,
        )
        self._on = cache(self._requests.labels)
        self._failures = Counter(
            "mtls_server_upstream_failures",
            "Requests that the server behind this one failed, by reason code.",
            ("reason",),
            registry=None,
        )
        self._response_seconds = Durations(
            "mtls_server_upstream_response_seconds",
            "Time from the head of a request to the head of its response.",
            RESPONSE_BUCKETS,
        )

    @property
    def metrics(self) -> Sequence[Collector]:
        """What is to be registered."""
        return self._connections, self._requests, self._failures, self._response_seconds

    def connection_opened(self) -> None:
        """Count one up."""
        self._connections.inc()

    def connection_closed(self) -> None:
        """Count one down."""
        self._connections.dec()

    def request_begun(self, *, kept: bool) -> None:
        """Count a request, and whether its connection had served before."""
        self._on("kept" if kept else "new").inc()

    def response_begun(self, seconds: float) -> None:
        """Note how long the head of a response was waited for."""
        self._response_seconds.observe(seconds)

    def failed(self, failure: Reply, what: str) -> None:
        """Write the one line about a failure."""
        self._failures.labels(failure.reason).inc()
        fields = {"event": "upstream_failed", "reason": failure.reason}
        LOGGER.warning("%s: %s", what, failure.message, extra={"fields": fields})

    def unreachable(self, authority: str, error: OSError) -> None:
        """Say why no connection to the address can be had; the failure follows."""
        LOGGER.warning(
            "cannot connect to %s: %s",
            authority,
            error.strerror or error,
            extra={"fields": {"event": "upstream_unreachable"}},
        )
