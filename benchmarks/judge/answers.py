"""One hour with a look every minute, judged by the gates on outcomes, on pairs and on inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.judge.hours import MINUTES, PER_MINUTE
from benchmarks.judge.traffic import output_bins
from monitoring.domain.arrays import FloatArray
from monitoring.domain.judge import (
    GateSpec,
    InputDriftGate,
    OutcomeGate,
    PairedGate,
    Verdict,
    input_drift,
    outcome,
    paired,
    parse_gates,
)
from monitoring.domain.judge.distribution import BinnedPair
from monitoring.domain.judge.means import Moments
from monitoring.domain.judge.spending import alpha_of_look, alpha_of_window
from monitoring.domain.kayenta import Direction, Metric, MetricClass, classify
from monitoring.domain.pairs import Comparison

REQUESTS = MINUTES * PER_MINUTE
LOOKS = [PER_MINUTE * minute for minute in range(1, MINUTES + 1)]
CONVERSIONS, REVENUE = parse_gates([
    {"kind": "outcome", "name": "conversions"}, {"kind": "outcome", "name": "revenue"},
])  # fmt: skip
AGREEMENT, DISTANCE = parse_gates([
    {"kind": "paired_predictions", "name": "agreement", "min_agreement": 0.95},
    {"kind": "paired_predictions", "name": "distance", "min_agreement": None, "max_difference": 0.1},
])  # fmt: skip
INPUTS = parse_gates([{"kind": "input_drift"}])[0]
FEATURES = 10


@dataclass(frozen=True)
class Answers:
    """What the gate is shown: `stable` and `candidate` are what the labels' mean, the agreement, the mean
    distance or the shift of an input is in truth; `needed` and `allowed` as of an `Hour`."""

    name: str
    gate: GateSpec
    stable: float
    candidate: float
    needed: float | None = None
    allowed: float | None = None


LINES = (
    Answers("conversions 10 %, A/A", CONVERSIONS, 0.10, 0.10, allowed=0.01),
    Answers("conversions 10 -> 6 %", CONVERSIONS, 0.10, 0.06, needed=0.95),
    Answers("revenue, lognormal, A/A", REVENUE, 1.0, 1.0, allowed=0.01),
    Answers("revenue, lognormal, -20 %", REVENUE, 1.0, 0.8, needed=0.95),
    Answers("95 % agree where 95 % are asked for", AGREEMENT, 0.95, 0.95, allowed=0.01),
    Answers("92 % agree where 95 % are asked for", AGREEMENT, 0.95, 0.92, needed=0.99),
    Answers("0.1 apart where 0.1 is allowed", DISTANCE, 0.1, 0.1, allowed=0.01),
    Answers("0.12 apart where 0.1 is allowed", DISTANCE, 0.1, 0.12, needed=0.95),
    Answers("10 inputs as in the baseline", INPUTS, 0.0, 0.0, allowed=0.01),
    Answers("one of 10 inputs moved by one deviation", INPUTS, 0.0, 1.0, needed=0.99),
)


def run(rng: np.random.Generator, line: Answers) -> dict[str, bool | None]:
    """Whether each rule flags one hour, as `hours.run` tells; None where Kayenta's has no counterpart."""
    if isinstance(line.gate, OutcomeGate):
        return _outcomes(rng, line, line.gate)
    looks = _pairs(rng, line, line.gate) if isinstance(line.gate, PairedGate) else _inputs(rng, line)
    flagged = any(verdict is Verdict.FAIL for verdict in looks)
    return {"slipway": flagged, "kayenta": None, "kayenta_peeking": None}


def _outcomes(rng: np.random.Generator, line: Answers, gate: OutcomeGate) -> dict[str, bool | None]:
    draw: Callable[[float], FloatArray]
    if gate is CONVERSIONS:
        draw = lambda mean: (rng.random(REQUESTS) < mean).astype(float)  # noqa: E731
    else:
        draw = lambda mean: mean * rng.lognormal(-0.5, 1.0, REQUESTS)  # noqa: E731
    sides = [draw(line.candidate), draw(line.stable)]
    alpha = alpha_of_window(1, 1)
    looks = (outcome.judge(gate, *(Moments.of(side[:n]) for side in sides), alpha).verdict for n in LOOKS)
    points = [side.reshape(MINUTES, PER_MINUTE).mean(axis=1) for side in sides]
    metric = Metric("outcome", Direction.DECREASE)
    flags = [
        classify(metric, points[0][:until], points[1][:until]) is MetricClass.LOW
        for until in range(10, MINUTES + 1, 5)
    ]
    slipway = any(verdict is Verdict.FAIL for verdict in looks)
    return {"slipway": slipway, "kayenta": flags[-1], "kayenta_peeking": any(flags)}


def _pairs(rng: np.random.Generator, line: Answers, gate: PairedGate) -> Iterator[Verdict]:
    agreed = np.cumsum(rng.random(REQUESTS) < line.candidate)
    distances = rng.exponential(line.candidate, REQUESTS)
    for n in LOOKS:
        found = Comparison(
            pairs=n,
            agreed=int(agreed[n - 1]),
            difference=Moments.of(distances[:n]),
            largest=None,
            correlation=None,
            worst=(),
        )
        yield paired.judge(gate, "y", found, {}, alpha_of_window(1, 1)).verdict


def _inputs(rng: np.random.Generator, line: Answers) -> Iterator[Verdict]:
    gate = line.gate
    assert isinstance(gate, InputDriftGate)
    moved = [line.candidate, *[0.0] * (FEATURES - 1)]
    baselines = rng.multinomial(1000, output_bins(0.0), FEATURES)
    minutes = [rng.multinomial(PER_MINUTE, output_bins(shift), MINUTES).cumsum(axis=0) for shift in moved]
    for look in range(MINUTES):
        pairs = [
            BinnedPair(f"x{index}", counts[look].astype(float), baseline.astype(float))
            for index, (counts, baseline) in enumerate(zip(minutes, baselines, strict=True))
        ]
        yield input_drift.judge(gate, pairs, alpha_of_look(look + 1, 1)).verdict
