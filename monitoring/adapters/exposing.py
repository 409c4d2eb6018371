"""Families as the text that Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from monitoring.adapters.process_metrics import Processes
from monitoring.domain.family import Family


def exposition(families: Iterable[Family], accept: str = "") -> tuple[str, bytes]:
    """(content type, body) in the format that the Accept header asks for: OpenMetrics or the classic text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(tuple(families)))
    registry.register(Processes())
    encoder, content_type = choose_encoder(accept)
    return content_type, encoder(registry)


class _Once:
    """A collector of what was measured already."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._families)


def _metric(family: Family) -> Metric:
    names = sorted({name for sample in family.samples for name in sample.labels})
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=names)
        for sample in family.samples:
            buckets = [(_go(bound), count) for bound, count in sample.buckets]
            histogram.add_metric([sample.labels.get(n, "") for n in names], buckets, sample.value)
        return histogram
    shape = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = shape(family.name, family.help, labels=names)
    for sample in family.samples:
        metric.add_metric([sample.labels.get(n, "") for n in names], sample.value)
    return metric


def _go(bound: float) -> str:
    """A bucket's bound as Prometheus itself writes it, so that series of different exporters join."""
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]
