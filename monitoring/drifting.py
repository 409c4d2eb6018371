"""Measuring the drift of live versions from the metrics, and keeping the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Max

from monitoring.domain.drift.assessment import ColumnDrift, Side, measure, ranked, state_of
from monitoring.domain.window import Window
from monitoring.models import DriftReading
from monitoring.ports import MetricsSource
from monitoring.samples.retention import delete_in_steps
from registry.models import Version

# Which label names the column on each side, and how the families are called.
SIDES = {"inputs": ("feature", "model_input"), "outputs": ("output", "model_output")}


def window_before(now: float) -> Window:
    """The last whole interval before `now`, so that windows never overlap and any worker has the same."""
    interval = settings.SLIPWAY_DRIFT_INTERVAL
    end = now // interval * interval
    return Window(datetime.fromtimestamp(end - interval, UTC), datetime.fromtimestamp(end, UTC))


def live_versions(source: MetricsSource, window: Window) -> dict[str, list[tuple[str, str]]]:
    """Endpoint → the (model, version) pairs that answered in the window; one query. MetricsUnavailable."""
    by = ("endpoint", "model", "model_version")
    counts = source.increase("model_predictions_total", by=by, where={}, window=window)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (endpoint, model, version), count in sorted(counts.items()):
        if count > 0 and endpoint and version:
            found[endpoint].append((model, version))
    return dict(found)


def measure_endpoint(
    source: MetricsSource, endpoint: str, versions: Sequence[tuple[str, str]], window: Window
) -> list[DriftReading]:
    """Measure and keep the versions' drift over the window; versions without a profile are left out.

    Four queries whatever the number of versions and columns. A window that was measured is measured anew.
    Raises MetricsUnavailable.
    """
    profiles = _profiles(versions)
    if not profiles:
        return []
    live = {
        (side, version, name): counts
        for side in SIDES
        for (version, name), counts in live_counts(source, endpoint, side, sorted(profiles), window).items()
    }
    rows = []
    for version, (model, profile) in profiles.items():
        items = [(side, item) for side in SIDES for item in profile.get(side) or ()]
        columns = ranked(
            measure(item, side, live.get((side, version, item["name"])), len(items)) for side, item in items
        )
        rows.append(_row(endpoint, model, version, window, columns))
    DriftReading.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["endpoint", "version", "at"],
        update_fields=["state", "drifted", "columns", "start", "model"],
    )
    return rows


def measure_all(source: MetricsSource, now: float) -> int:
    """Measure every live version over the last whole interval; how many. Raises MetricsUnavailable."""
    window = window_before(now)
    return sum(
        len(measure_endpoint(source, endpoint, versions, window))
        for endpoint, versions in live_versions(source, window).items()
    )


def measured_until() -> float:
    """The end of the newest window that was measured; 0 before the first."""
    return DriftReading.objects.aggregate(at=Max("at"))["at"] or 0.0


def trim(now: float) -> int:
    """Delete readings older than they are kept, in short steps; returns how many."""
    old = DriftReading.objects.filter(at__lt=now - settings.SLIPWAY_DRIFT_KEEP_DAYS * 86_400).order_by("at")
    return delete_in_steps(old)


def latest(endpoint: str) -> list[DriftReading]:
    """The newest reading of each version that was measured last, newest version first."""
    rows = DriftReading.objects.filter(endpoint=endpoint)
    newest = rows.aggregate(at=Max("at"))["at"]
    return [] if newest is None else list(rows.filter(at=newest).order_by("-version"))


def history(endpoint: str, version: str, window: Window) -> list[DriftReading]:
    """A version's readings of the window, oldest first."""
    start, end = window.start.timestamp(), window.end.timestamp()
    return list(
        DriftReading.objects.filter(endpoint=endpoint, version=version, at__gt=start, at__lte=end).order_by(
            "at"
        )
    )


def _row(endpoint: str, model: str, version: str, window: Window, columns: list[ColumnDrift]) -> DriftReading:
    return DriftReading(
        endpoint=endpoint, model=model, version=version, start=window.start.timestamp(),
        at=window.end.timestamp(), state=state_of(columns),
        drifted=sum(column.drifted for column in columns), columns=[column.to_dict() for column in columns],
    )  # fmt: skip


def _profiles(versions: Sequence[tuple[str, str]]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Version ref → (model, profile) of those that have one."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for model, version in versions:
        if version.isdecimal():
            numbers[model].append(int(version))
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for model, wanted in numbers.items():
        for row in Version.objects.filter(model__name=model, number__in=wanted).exclude(profile=None):
            found[row.ref] = (model, row.profile or {})
    return found


def live_counts(
    source: MetricsSource, endpoint: str, side: str, versions: Sequence[str], window: Window
) -> dict[tuple[str, str], Side]:
    """(version, column) → what was counted on `side` over the window; two queries."""
    label, family = SIDES[side]
    where = {"endpoint": endpoint, "model_version": list(versions)}
    by = ("model_version", label)
    numeric = source.histogram(f"{family}_value", by=by, where=where, window=window)
    counted = source.increase(f"{family}_class_total", by=(*by, "class"), where=where, window=window)
    found: dict[tuple[str, str], Any] = {(version, name): value for (version, name), value in numeric.items()}
    for (version, name, value), count in counted.items():
        found.setdefault((version, name), {})[value] = count
    return found
