"""The charts of an endpoint, from any metrics source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from monitoring.adapters.cached import CachedSource
from monitoring.domain import outputs
from monitoring.domain.arrays import FloatArray
from monitoring.domain.charts import Chart, Curve, Moment, Population, bar_chart, chart_step, time_chart
from monitoring.domain.drift.psi import psi
from monitoring.domain.histogram import Histogram
from monitoring.domain.judge import wording as say
from monitoring.domain.judge.error_rate import ERROR_STATUSES
from monitoring.domain.series import Series
from monitoring.domain.window import Window
from monitoring.ports import MetricsSource
from monitoring.queries.outputs import find_output, live_outputs

Role = Literal["stable", "candidate", "baseline"]
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version to draw and in which role: the role gives the colour."""

    ref: str
    role: str

    @property
    def label(self) -> str:
        return f"version {self.ref} ({self.role})"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to mark on the time axis; `kind` is `step`, `rollback` or `promote`."""

    at: datetime
    label: str
    kind: str


def endpoint_charts(
    source: MetricsSource,
    endpoint: str,
    versions: Sequence[VersionLine],
    window: Window,
    marks: Sequence[Mark] = (),
) -> list[Chart]:
    """Requests and errors per version, and latency quantiles, over the window.

    A chart of rejections is added only where requests were rejected. Two queries whatever the number of
    versions. Raises MetricsUnavailable.
    """
    cached = CachedSource(source)
    step = chart_step(window.seconds)
    moments = [Moment(mark.at.timestamp(), mark.label, mark.kind) for mark in marks]
    where = {"endpoint": endpoint, "model_version": [version.ref for version in versions]}
    by_status = cached.rates(
        "model_predictions_total", by=("model_version", "status"), where=where, window=window, step=step
    )
    traffic = {version.ref: _Traffic.of(version.ref, by_status, window.grid(step)) for version in versions}
    charts = [
        _requests(endpoint, versions, traffic, window, moments),
        _shares(endpoint, "errors", "Error rate", ERROR_STATUSES, versions, traffic, window, moments),
    ]
    if any(item.any_of(("rejected",)) for item in traffic.values()):
        charts.append(
            _shares(
                endpoint, "rejected", "Rejected requests", ("rejected",), versions, traffic, window, moments
            )
        )
    latency = cached.histogram_series(
        "model_prediction_seconds", by=("model_version",), where=where, window=window, step=step
    )
    for quantile in QUANTILES:
        lines = {ref: found.quantiles(quantile) for (ref,), found in latency.items()}
        charts.append(_latency(endpoint, quantile, versions, lines, window, moments))
    return charts


@dataclass(frozen=True, slots=True, eq=False)
class _Traffic:
    """Requests per second of one version on a grid, per status; NaN where nothing was measured."""

    times: FloatArray
    by_status: Mapping[str, FloatArray]

    @classmethod
    def of(cls, ref: str, rates: Mapping[tuple[str, ...], Series], grid: FloatArray) -> _Traffic:
        return cls(grid, {status: s.values for (version, status), s in rates.items() if version == ref})

    def any_of(self, statuses: Sequence[str]) -> bool:
        return any(np.nansum(self.by_status[status]) > 0 for status in statuses if status in self.by_status)

    def total(self, statuses: Sequence[str] | None = None) -> FloatArray:
        """Of these statuses, or of all; NaN where no status at all was measured."""
        if not self.by_status:
            return np.full(len(self.times), np.nan)
        unmeasured = np.all([np.isnan(values) for values in self.by_status.values()], axis=0)
        chosen = [v for status, v in self.by_status.items() if statuses is None or status in statuses]
        total = np.nansum(chosen, axis=0) if chosen else np.zeros(len(self.times))
        return np.where(unmeasured, np.nan, total)


def _requests(
    endpoint: str,
    versions: Sequence[VersionLine],
    traffic: Mapping[str, _Traffic],
    window: Window,
    moments: Sequence[Moment],
) -> Chart:
    curves = [Curve(v.role, v.label, Series(traffic[v.ref].times, traffic[v.ref].total())) for v in versions]
    return time_chart(
        id=f"{endpoint}-requests", title="Requests", unit="requests per second", curves=curves, window=window,
        moments=moments, text=lambda value: f"{value:.1f}/s", caption=_split(curves),
    )  # fmt: skip


def _split(curves: Sequence[Curve]) -> str:
    """How the requests of the window were split between the versions."""
    sums = [float(np.nansum(curve.series.values)) for curve in curves]
    if len(curves) < 2 or not sum(sums) > 0:
        return ""
    parts = [
        f"{curve.label} {100 * part / sum(sums):.1f} %" for curve, part in zip(curves, sums, strict=True)
    ]
    return "Share of requests in this window: " + ", ".join(parts) + "."


def _shares(
    endpoint: str,
    id: str,
    title: str,
    statuses: Sequence[str],
    versions: Sequence[VersionLine],
    traffic: Mapping[str, _Traffic],
    window: Window,
    moments: Sequence[Moment],
) -> Chart:
    """Percent of requests with one of the statuses; a gap where a version had no requests."""
    curves = []
    for version in versions:
        item = traffic[version.ref]
        total = item.total()
        share = np.full(len(total), np.nan)
        np.divide(100 * item.total(statuses), total, out=share, where=total > 0)
        curves.append(Curve(version.role, version.label, Series(item.times, share)))
    return time_chart(
        id=f"{endpoint}-{id}", title=title, unit="% of requests", curves=curves, window=window,
        moments=moments,
        text=lambda value: f"{value:.1f} %",
        caption=f"Counted: {', '.join(statuses)}.",
    )  # fmt: skip


def _latency(
    endpoint: str,
    quantile: float,
    versions: Sequence[VersionLine],
    lines: Mapping[str, Series],
    window: Window,
    moments: Sequence[Moment],
) -> Chart:
    name = say.quantile_name(quantile)
    curves = [
        Curve(v.role, v.label, Series(lines[v.ref].times, 1000 * lines[v.ref].values))
        for v in versions
        if v.ref in lines
    ]
    return time_chart(
        id=f"{endpoint}-latency-{name.replace('.', '-')}", title=f"Latency {name}", unit="milliseconds",
        curves=curves, window=window, moments=moments,
        text=lambda value: say.milliseconds(value / 1000),
        caption="Whole requests in the model server, from histogram buckets.",
    )  # fmt: skip


def distribution_chart(
    source: MetricsSource,
    endpoint: str,
    versions: Sequence[VersionLine],
    window: Window,
    *,
    profile: Mapping[str, Any] | None = None,
    output: str | None = None,
) -> Chart | None:
    """How the predictions of an output are distributed: baseline, stable, candidate over the same bins.

    `profile` is the candidate's baseline document. None when no output is known or nothing was predicted.
    Raises MetricsUnavailable.
    """
    if not versions:
        return None
    try:
        found = outputs.describe(profile, output) or find_output(
            source, endpoint, versions[-1].ref, window, output
        )
        if found is None:
            return None
        live = live_outputs(source, endpoint, [version.ref for version in versions], window, found)
        shown = [version for version in versions if version.ref in live]
        bins, counts = outputs.aligned([live[version.ref] for version in shown]) if shown else ([], [])
    except outputs.NotComparable:
        return None
    if not shown:
        return None
    populations = [
        Population(version.role, version.label, count) for version, count in zip(shown, counts, strict=True)
    ]
    reference = _baseline_over(bins, profile, found)
    if reference is not None:
        populations.insert(0, Population("baseline", "baseline (at registration)", reference))
    return bar_chart(
        id=f"{endpoint}-output", title=f"Distribution of {found.name}",
        x_label="class" if found.categorical else f"{found.name} (edges of the bins)",
        bins=bins, populations=populations, caption=_divergences(populations),
    )  # fmt: skip


def _baseline_over(
    bins: Sequence[str] | Sequence[float], profile: Mapping[str, Any] | None, output: outputs.Output
) -> FloatArray | None:
    """The baseline's counts over the bins; values are spread evenly in its own bins where these differ."""
    side = outputs.baseline(profile, output)
    if side is None or not bins:
        return None
    if not isinstance(side, Histogram):
        return np.array([side.get(str(name), 0.0) for name in bins])
    item = next(item for item in (profile or {})["outputs"] if item["name"] == output.name)
    return side.spread_over(np.array(bins, dtype=np.float64), float(item["min"]), float(item["max"])).counts


def _divergences(populations: Sequence[Population]) -> str:
    """PSI of the last population (the candidate) against each of the others."""
    if len(populations) < 2:
        return ""
    last = populations[-1]
    parts = [
        f"{psi(last.counts, other.counts):.2f} vs {other.label}"
        for other in populations[:-1]
        if last.total > 0 and other.total > 0
    ]
    return f"PSI of {last.label}: {', '.join(parts)}." if parts else ""
