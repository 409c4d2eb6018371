"""The values that rules are about: a handful of queries, however many rules, endpoints and versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from monitoring.domain import outputs
from monitoring.domain.alerts import Rule
from monitoring.domain.alerts.rules import DRIFT
from monitoring.domain.drift.divergences import kullback_leibler
from monitoring.domain.drift.psi import psi
from monitoring.domain.judge.error_rate import ERROR_STATUSES
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource
from registry.models import Version

SERVED = ("endpoint", "model", "model_version")
Sides = Mapping["Subject", outputs.Side]


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
    live = _columns(side, source, window)
    profiles = _profiles(live)
    return {
        subject: _divergence(rule, counts, profiles.get(subject[1:3], {}).get(side), subject.column, measure)
        for subject, counts in live.items()
        if profiles.get(subject[1:3])
    }


def _columns(side: str, source: MetricsSource, window: Window) -> dict[Subject, outputs.Side]:
    label, prefix = ("output", "model_output") if side == "outputs" else ("feature", "model_input")
    numeric = source.histogram(f"{prefix}_value", by=(*SERVED, label), where={}, window=window)
    classes = source.increase(f"{prefix}_class_total", by=(*SERVED, label, "class"), where={}, window=window)
    found: dict[Subject, Any] = {Subject(*group): histogram for group, histogram in numeric.items()}
    for (*group, name), count in classes.items():
        found.setdefault(Subject(*group), {})[name] = count
    return found


def _profiles(subjects: Iterable[Subject]) -> dict[tuple[str, str], Any]:
    """Baseline documents by model and version; one query."""
    wanted = {(subject.model, subject.version) for subject in subjects}
    rows = Version.objects.filter(
        model__name__in={model for model, _ in wanted},
        number__in={int(version) for _, version in wanted if version.isdigit()},
        deleted_at=None,
    ).values_list("model__name", "number", "profile")
    return {(model, str(number)): profile for model, number, profile in rows if profile}


def _divergence(
    rule: Rule, live: outputs.Side, items: Any, column: str, measure: Callable[..., float]
) -> float | None:
    kind = outputs.Output(column, categorical=isinstance(live, Mapping))
    reference = outputs.baseline({"outputs": items or []}, kind)
    try:
        _, (seen, expected) = outputs.aligned([live, reference]) if reference else ([], (None, None))
    except outputs.NotComparable:
        return None
    if seen is None or expected is None or seen.sum() < max(1, rule.min_samples) or expected.sum() <= 0:
        return None
    return measure(seen, expected)
