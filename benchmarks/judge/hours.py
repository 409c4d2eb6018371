"""One hour of two equal arms with a look every minute, judged by Slipway and by the Kayenta rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.judge.rollouts import verdict_of
from benchmarks.judge.traffic import Behaviour, Counts, serve
from monitoring.domain.arrays import FloatArray
from monitoring.domain.judge import Verdict, parse_gates
from monitoring.domain.kayenta import Direction, Metric, MetricClass, classify

MINUTES = 60
PER_MINUTE = 60
GATES = {
    "errors": parse_gates([{"kind": "error_rate", "max": None, "min_effect": 0}])[0],
    "latency": parse_gates([{"kind": "latency", "quantile": 0.5, "max_ratio": 1.05, "min_effect_ms": 0}])[0],
}


@dataclass(frozen=True)
class Hour:
    """`metric` is what is compared; `needed` the least share of runs to be found, `allowed` the most."""

    name: str
    metric: str
    stable: Behaviour
    candidate: Behaviour
    unit: float = 1.0
    requests: int = PER_MINUTE
    needed: float | None = None
    allowed: float | None = None


def _errors(before: float, after: float) -> tuple[Behaviour, Behaviour]:
    return Behaviour(error_rate=before / PER_MINUTE), Behaviour(error_rate=after / PER_MINUTE)


PLAIN = Behaviour(error_rate=0.0)
SLOWER, BARELY = replace(PLAIN, median=PLAIN.median * 1.15), replace(PLAIN, median=PLAIN.median * 1.02)
HOURS = (
    Hour("A/A errors, 1 a minute", "errors", *_errors(1, 1), allowed=0.01),
    Hour("A/A latency", "latency", PLAIN, PLAIN, unit=1000, allowed=0.01),
    Hour("0.1 -> 1.0 errors a minute", "errors", *_errors(0.1, 1), needed=0.99),
    Hour("1 -> 2 errors a minute", "errors", *_errors(1, 2), needed=0.90),
    Hour("5 -> 7 errors a minute", "errors", *_errors(5, 7)),
    Hour("latency +15 % in ms", "latency", PLAIN, SLOWER, unit=1000, needed=0.97),
    Hour("latency +15 % in s", "latency", PLAIN, SLOWER, unit=1, needed=0.97),
    Hour("latency +2 % (trivial)", "latency", PLAIN, BARELY, unit=1000, allowed=0.05),
    Hour(
        "low traffic, 2 requests a minute, A/A", "latency", PLAIN, PLAIN, unit=1000, requests=2, allowed=0.01
    ),
)


def run(rng: np.random.Generator, hour: Hour) -> Mapping[str, bool]:
    """Whether each rule flags one hour: `slipway` at any of 60 looks, `kayenta` at the end, and if it had
    been asked at every look as well (`kayenta_peeking`)."""
    sides = (hour.candidate, hour.stable)
    counts = [serve(rng, side, np.full(MINUTES, hour.requests)) for side in sides]
    gate = GATES[hour.metric]
    slipway = any(
        verdict_of(gate, *counts, minute, minute + 1, 1, 1) is Verdict.FAIL for minute in range(MINUTES)
    )
    points = [
        _points(rng, hour, side, made)
        for side, made in zip((hour.candidate, hour.stable), counts, strict=True)
    ]
    metric = Metric(hour.metric, Direction.INCREASE)
    flags = [
        classify(metric, points[0][:until], points[1][:until]) is MetricClass.HIGH
        for until in range(10, MINUTES + 1, 5)
    ]
    return {"slipway": slipway, "kayenta": flags[-1], "kayenta_peeking": any(flags)}


def _points(rng: np.random.Generator, hour: Hour, side: Behaviour, counts: Counts) -> FloatArray:
    """The series that Kayenta would query: errors per minute, or the mean latency of each minute."""
    if hour.metric == "errors":
        return np.diff(counts.bad, prepend=0).astype(float)
    latencies = rng.lognormal(np.log(side.median), side.spread, (MINUTES, hour.requests))
    return latencies.mean(axis=1) * hour.unit
