"""Whole canary rollouts with a look every interval: how often, and how soon, they are rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judge.traffic import SECONDS, Behaviour, Counts, serve
from monitoring.domain.arrays import FloatArray
from monitoring.domain.histogram import Histogram
from monitoring.domain.judge import GateSpec, Verdict, distribution, error_rate, latency, parse_gates
from monitoring.domain.judge.spending import alpha_of_look, alpha_of_window
from monitoring.domain.kayenta import Direction, Metric, MetricClass, classify

STEPS = (5, 10, 25, 50)
# Without slack anywhere: every difference counts, so only the statistics stand between noise and a rollback.
STRICT_GATES = parse_gates([
    {"kind": "error_rate", "name": "errors", "max": None, "min_effect": 0},
    {"kind": "latency", "name": "p50", "quantile": 0.5, "max_ratio": 1.0, "min_effect_ms": 0},
    {"kind": "latency", "name": "p95", "quantile": 0.95, "max_ratio": 1.0, "min_effect_ms": 0},
    {"kind": "distribution", "name": "output", "max": 0.001},
])  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """`look` at which a gate failed (None = never), out of `looks`, and the gate; `kayenta`: whether that
    rule, asked once a minute on the same data, would have rolled back."""

    look: int | None
    looks: int
    gate: str = ""
    kayenta: bool = False


def roll_out(
    rng: np.random.Generator,
    gates: Sequence[GateSpec],
    stable: Behaviour,
    candidate: Behaviour,
    *,
    per_second: float,
    step_seconds: int = 360,
    interval: int = 5,
) -> Outcome:
    """One rollout over STEPS; the window of each step grows from look to look."""
    look, kayenta = 0, False
    failed: tuple[int, str] | None = None
    looks = len(STEPS) * (step_seconds // interval)
    for weight in STEPS:
        share = weight / 100
        ticks = step_seconds // interval
        mine = serve(rng, candidate, rng.poisson(per_second * share * interval, ticks))
        theirs = serve(rng, stable, rng.poisson(per_second * (1 - share) * interval, ticks))
        kayenta = kayenta or kayenta_fails(mine, theirs, 60 // interval)
        for tick in range(ticks):
            look += 1
            for gate in gates if failed is None else ():
                if verdict_of(gate, mine, theirs, tick, look, len(gates), len(STEPS)) is Verdict.FAIL:
                    failed = failed or (look, gate.name)
    at, gate_name = failed or (None, "")
    return Outcome(at, looks, gate_name, kayenta)


def kayenta_fails(mine: Counts, theirs: Counts, per_minute: int) -> bool:
    """Whether any metric is high when asked after each minute of a step, with a point per interval.

    Metrics: the share of errors and the median latency of each interval; a score below 75 of two equal
    metrics is one that failed.
    """
    sides = [_series(side) for side in (mine, theirs)]
    length = len(mine.total)
    return any(
        classify(Metric(name, Direction.INCREASE), sides[0][name][:until], sides[1][name][:until])
        is MetricClass.HIGH
        for until in range(2 * per_minute, length + 1, per_minute)
        for name in sides[0]
    )


def _series(side: Counts) -> dict[str, FloatArray]:
    """Points per interval: share of errors, and median latency."""
    total = np.diff(side.total, prepend=0.0)
    bins = np.diff(side.latency, axis=0, prepend=np.zeros((1, side.latency.shape[1])))
    share = np.full(len(total), np.nan)
    np.divide(np.diff(side.bad, prepend=0.0), total, out=share, where=total > 0)
    return {"errors": share, "latency": np.array([Histogram(SECONDS, row).quantile(0.5) for row in bins])}


def verdict_of(
    gate: GateSpec, mine: Counts, theirs: Counts, tick: int, look: int, gates: int, windows: int
) -> Verdict:
    """What the gate says of the counts after step `tick`."""
    alpha = alpha_of_window(windows, gates)
    if isinstance(gate, error_rate.ErrorRateGate):
        outcomes = [
            error_rate.Outcomes(int(side.bad[tick]), int(side.total[tick])) for side in (mine, theirs)
        ]
        return error_rate.judge(gate, *outcomes, alpha).verdict
    if isinstance(gate, latency.LatencyGate):
        return latency.judge(gate, mine.histogram(tick), theirs.histogram(tick), alpha).verdict
    pair = distribution.BinnedPair("y", mine.output[tick], theirs.output[tick])
    return distribution.judge(gate, pair, alpha_of_look(look, gates)).verdict
