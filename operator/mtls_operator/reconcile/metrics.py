"""What the operator counts, for Prometheus; no name of a service or client is a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The operator's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.passes = Histogram(
            "mtls_operator_reconcile_seconds",
            "Duration of passes over one service, by result.",
            ["result"],
            registry=registry,
        )
        self.waiting = Gauge(
            "mtls_operator_queue_length", "Services that wait for a pass.", registry=registry
        )
        self.writes = Counter(
            "mtls_operator_writes_total",
            "Writes to the API server by verb, kind and result.",
            ["verb", "kind", "result"],
            registry=registry,
        )
        self.leaves = Counter(
            "mtls_operator_leaf_secrets_written_total",
            "Writes of leaf Secrets by reason.",
            ["reason"],
            registry=registry,
        )
        self.deliveries = Histogram(
            "mtls_operator_delivery_seconds",
            "From the touch of a pod to its answer that it serves what was delivered.",
            buckets=(0.5, 1, 1.5, 2, 3, 5, 10, 30, 60),
            registry=registry,
        )
