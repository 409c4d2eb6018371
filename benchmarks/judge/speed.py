"""How many gates one core judges per second, in CPU time: the default gates on counts that grow."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.judge.traffic import SECONDS, Behaviour, serve
from monitoring.adapters.memory import MemorySource
from monitoring.analysis import Subject, judge
from monitoring.domain.histogram import Histogram
from monitoring.domain.judge import DEFAULT_GATES, parse_gates
from monitoring.domain.kayenta import Direction, Metric, classify
from monitoring.domain.window import Window

LOOKS = 500
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GATES = parse_gates(DEFAULT_GATES)
EDGES = np.linspace(-2.0, 2.0, 9)


class Answers(MemorySource):
    """A metrics source whose answers are ready, so that only judging is measured."""

    def __init__(self, look: int, mine: object, theirs: object) -> None:
        super().__init__()
        self.sides = {"2": mine, "1": theirs}
        self.look = look

    def increase(self, metric, *, by, where, window):  # type: ignore[no-untyped-def]
        found = {}
        for version, side in self.sides.items():
            bad = float(side.bad[self.look])
            found |= {(version, "ok"): float(side.total[self.look]) - bad, (version, "error"): bad}
        return found

    def histogram(self, metric, *, by, where, window):  # type: ignore[no-untyped-def]
        if metric == "model_prediction_seconds":
            return {(v,): Histogram(SECONDS, side.latency[self.look]) for v, side in self.sides.items()}
        return {(v,): Histogram(EDGES, side.output[self.look]) for v, side in self.sides.items()}


def gates_per_second(seed: int) -> tuple[float, float]:
    """(Slipway's gates, Kayenta's metrics) per CPU second; Slipway's with reading, splitting and wording."""
    rng = np.random.default_rng(seed)
    sides = [serve(rng, Behaviour(), rng.poisson(20, LOOKS)) for _ in range(2)]
    profile = {"outputs": [{"name": "y", "kind": "numeric", "edges": EDGES.tolist(), "counts": [1] * 10}]}
    subjects = [
        Subject("prod", "1", "2", Window(NOON, NOON + timedelta(seconds=5 * look + 5)), look + 1, 4, profile)
        for look in range(LOOKS)
    ]
    sources = [Answers(look, *sides) for look in range(LOOKS)]
    judge(GATES, subjects[-1], sources[-1], NOON)
    began = time.process_time()
    for subject, source in zip(subjects, sources, strict=True):
        judge(GATES, subject, source, NOON)
    ours = len(GATES) * LOOKS / (time.process_time() - began)
    points = rng.lognormal(0, 0.3, (LOOKS, 2, 60))
    metric = Metric("latency", Direction.INCREASE)
    began = time.process_time()
    for mine, theirs in points:
        classify(metric, mine, theirs)
    return ours, LOOKS / (time.process_time() - began)
