"""The values that rules are about: a handful of queries, however many rules, endpoints and versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from monitoring.domain.alerts import Rule
from monitoring.domain.alerts.rules import DRIFT
from monitoring.domain.drift.assessment import aligned
from monitoring.domain.drift.divergences import kullback_leibler
from monitoring.domain.drift.psi import psi
from monitoring.domain.judge.error_rate import ERROR_STATUSES
from monitoring.domain.outputs import NotComparable, Side
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource
from monitoring.queries.columns import SERVED, live_columns, profiles


class Subject(NamedTuple):
    """The series of a rule: a version at an endpoint, and for drift one of its columns."""

    endpoint: str
    model: str
    version: str
    column: str = ""


def readings(rule: Rule, source: MetricsSource, now: datetime) -> dict[Subject, float | None]:
    """The value of every series that the rule covers, in the unit of its threshold.

    None where there were fewer than `min_samples` observations. Queries name no endpoint, so that rules
    over the same window share them (give a CachedSource). Raises MetricsUnavailable.
    """
    window = Window.last(rule.window_seconds, now)
    found = _values(rule, source, window)
    return {
        subject: value
        for subject, value in found.items()
        if rule.covers(subject.endpoint, subject.model, subject.column)
    }


def _values(rule: Rule, source: MetricsSource, window: Window) -> dict[Subject, float | None]:
    if rule.series == "latency":
        return _latencies(rule, source, window)
    if rule.series in DRIFT:
        return _drift(rule, source, window)
    if rule.series == "gauge":
        gauges = source.latest(rule.metric, by=SERVED, where={}, window=window)
        return {Subject(*group): value for group, value in gauges.items()}
    if rule.series == "rate":
        gained = source.increase(rule.metric, by=SERVED, where={}, window=window)
        return {Subject(*group): value / window.seconds for group, value in gained.items()}
    return _shares(rule, source, window)


def _latencies(rule: Rule, source: MetricsSource, window: Window) -> dict[Subject, float | None]:
    found = source.histogram("model_prediction_seconds", by=SERVED, where={}, window=window)
    return {
        Subject(*group): 1000 * histogram.quantile(rule.quantile)
        if histogram.total >= max(1, rule.min_samples)
        else None
        for group, histogram in found.items()
    }


def _shares(rule: Rule, source: MetricsSource, window: Window) -> dict[Subject, float | None]:
    counts = source.increase("model_predictions_total", by=(*SERVED, "status"), where={}, window=window)
    totals: dict[Subject, float] = defaultdict(float)
    chosen: dict[Subject, float] = defaultdict(float)
    statuses = {"error_rate": ERROR_STATUSES, "rejection_rate": ("rejected",)}.get(rule.series, ())
    for (*served, status), count in counts.items():
        totals[Subject(*served)] += count
        chosen[Subject(*served)] += count if status in statuses else 0.0
    if rule.series == "request_rate":
        return {subject: total / window.seconds for subject, total in totals.items()}
    return {
        subject: chosen[subject] / total if total >= max(1, rule.min_samples) else None
        for subject, total in totals.items()
    }


def _drift(rule: Rule, source: MetricsSource, window: Window) -> dict[Subject, float | None]:
    """Divergence of what each version sees or answers from the counts of its profile, per column."""
    side = "outputs" if rule.series.endswith("output") else "inputs"
    measure = psi if rule.series.startswith("psi") else kullback_leibler
    live = live_columns(source, side, window, {})
    known = profiles((column.model, column.version) for column in live)
    items = {
        (*served, item["name"]): item for served, profile in known.items() for item in profile.get(side) or ()
    }
    return {
        Subject(*column): _divergence(rule, counts, items.get(column[1:]), measure)
        for column, counts in live.items()
        if (column.model, column.version) in known
    }


def _divergence(
    rule: Rule, live: Side, item: Mapping[str, Any] | None, measure: Callable[..., float]
) -> float | None:
    if item is None:
        return None
    try:
        _, counts, expected = aligned(item, live)
    except NotComparable:
        return None
    if counts.sum() < max(1, rule.min_samples) or expected.sum() <= 0:
        return None
    return measure(counts, expected)
