"""The figures of many endpoints at once, for pages that list them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.domain.judge.error_rate import ERROR_STATUSES
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource

# More endpoints than these are not named in the queries: all are read, so that their text stays short.
NAMED = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """One endpoint over a window: requests per second, share that failed, p95 in seconds; None = unknown."""

    per_second: float
    error_rate: float | None
    p95: float | None


def endpoints_overview(source: MetricsSource, endpoints: Sequence[str], window: Window) -> dict[str, Figures]:
    """Figures of the endpoints that were measured in the window: two queries, however many there are.

    Raises MetricsUnavailable.
    """
    if not endpoints:
        return {}
    where = {"endpoint": list(endpoints)} if len(endpoints) <= NAMED else {}
    counts = source.increase("model_predictions_total", by=("endpoint", "status"), where=where, window=window)
    latency = source.histogram("model_prediction_seconds", by=("endpoint",), where=where, window=window)
    totals: dict[str, float] = defaultdict(float)
    failed: dict[str, float] = defaultdict(float)
    wanted = set(endpoints)
    for (endpoint, status), count in counts.items():
        if endpoint not in wanted:
            continue
        totals[endpoint] += count
        failed[endpoint] += count if status in ERROR_STATUSES else 0.0
    found = {}
    for endpoint, total in totals.items():
        slow = latency.get((endpoint,))
        found[endpoint] = Figures(
            per_second=total / window.seconds,
            error_rate=failed[endpoint] / total if total else None,
            p95=slow.quantile(0.95) if slow is not None and slow.total > 0 else None,
        )
    return found
