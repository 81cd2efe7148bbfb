"""What metrics are made of, beside prometheus-client."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Final

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

MAX_VALUES: Final = 256
OTHER: Final = "other"


class Vocabulary:
    """The values of a label: once there are so many, all further ones are ``other``."""

    def __init__(self, most: int = MAX_VALUES) -> None:
        self._most = most
        self._known: set[str] = set()

    def bound(self, value: str) -> str:
        """Return the value, or what stands for it."""
        if value not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value


class Durations(Collector):
    """A histogram for what happens with every request: without a lock, so only one thread may observe."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        """Count nothing yet; `bounds` of the buckets in seconds, ascending."""
        self._name = name
        self._documentation = documentation
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the histogram, as Prometheus adds it up."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*self._bounds, inf), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == inf else str(bound), total))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum)


class Breakdown(Collector):
    """A gauge with one label, counted only when it is asked for."""

    def __init__(
        self, name: str, documentation: str, label: str, count: Callable[[], Mapping[str, int]]
    ) -> None:
        """Ask `count` for values of the label and what they measure."""
        self._name = name
        self._documentation = documentation
        self._label = label
        self._count = count

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the gauge, as it is now."""
        family = GaugeMetricFamily(self._name, self._documentation, labels=[self._label])
        for value, measured in self._count().items():
            family.add_metric([value], measured)
        yield family
