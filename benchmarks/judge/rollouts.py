"""Whole canary rollouts with a look every interval: how often, and how soon, they are rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judge.traffic import Behaviour, Counts, serve
from monitoring.domain.judge import GateSpec, Verdict, distribution, error_rate, latency, parse_gates
from monitoring.domain.judge.spending import alpha_of_look, alpha_of_window

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
    """`look` at which a gate failed (None = never), out of `looks`, and the gate."""

    look: int | None
    looks: int
    gate: str = ""


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
    look = 0
    looks = len(STEPS) * (step_seconds // interval)
    for weight in STEPS:
        share = weight / 100
        ticks = step_seconds // interval
        mine = serve(rng, candidate, rng.poisson(per_second * share * interval, ticks))
        theirs = serve(rng, stable, rng.poisson(per_second * (1 - share) * interval, ticks))
        for tick in range(ticks):
            look += 1
            for gate in gates:
                if verdict_of(gate, mine, theirs, tick, look, len(gates), len(STEPS)) is Verdict.FAIL:
                    return Outcome(look, looks, gate.name)
    return Outcome(None, looks)


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
