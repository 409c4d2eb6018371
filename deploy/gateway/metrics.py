"""What the gateway counts, per endpoint and version.

The hot path adds to plain numbers; prometheus_client's collector interface turns them into the text
format when `/metrics` is read. (Its own histogram walks the buckets under a lock on every request.)
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03,
    0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
LABELS = ("endpoint", "model", "model_version")
Key = tuple[str, str, str]


@dataclass
class Series:
    """The numbers of one endpoint's version."""

    codes: Counter[int] = field(default_factory=Counter)
    mirrored: Counter[str] = field(default_factory=Counter)
    unreachable: int = 0
    inflight: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))

    def answered(self, code: int, seconds: float) -> None:
        """Count a request that was answered with `code` after `seconds`."""
        self.codes[code] += 1
        self.seconds += seconds
        self.buckets[bisect_left(SECONDS, seconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper bound, requests at or below it), as Prometheus wants them."""
        found, total = [], 0
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self.buckets, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Metrics(Collector):
    """All series of one gateway."""

    def __init__(self) -> None:
        self._series: dict[Key, Series] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def series(self, endpoint: str, model: str, version: str) -> Series:
        """The series of these labels; it starts at zero, so that its first increment can be seen."""
        key = endpoint, model, version
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series(Counter({200: 0}))
        return found

    def exposition(self) -> bytes:
        """Everything in the Prometheus text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing to announce: series appear as routes do."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families, built from the numbers of this moment."""
        yield self._requests()
        yield self._seconds()
        yield self._inflight()
        yield self._mirrored()
        yield self._unreachable()

    def _requests(self) -> Metric:
        family = CounterMetricFamily("gateway_requests", "Requests answered.", labels=(*LABELS, "code"))
        for key, series in self._series.items():
            for code, count in series.codes.items():
                family.add_metric((*key, str(code)), count)
        return family

    def _seconds(self) -> Metric:
        text = "Time from the request's arrival to the end of its answer."
        family = HistogramMetricFamily("gateway_request_seconds", text, labels=LABELS)
        for key, series in self._series.items():
            family.add_metric(key, buckets=series.cumulative(), sum_value=series.seconds)
        return family

    def _inflight(self) -> Metric:
        family = GaugeMetricFamily("gateway_inflight", "Requests being answered.", labels=LABELS)
        for key, series in self._series.items():
            family.add_metric(key, series.inflight)
        return family

    def _mirrored(self) -> Metric:
        text = "Copies of requests: ok, error (5xx), unreachable, or dropped because too many were under way."
        family = CounterMetricFamily("gateway_mirrored", text, labels=(*LABELS, "outcome"))
        for key, series in self._series.items():
            for outcome, count in series.mirrored.items():
                family.add_metric((*key, outcome), count)
        return family

    def _unreachable(self) -> Metric:
        text = "Predictions by outcome; here those that no server answered."
        family = CounterMetricFamily("model_predictions", text, labels=(*LABELS, "status"))
        for key, series in self._series.items():
            family.add_metric((*key, "unreachable"), series.unreachable)
        return family
