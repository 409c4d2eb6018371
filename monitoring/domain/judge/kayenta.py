"""The Kayenta judge as a gate, for people who know its rule and want it instead of Slipway's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from monitoring.domain.arrays import FloatArray
from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.verdict import GateResult, Verdict
from monitoring.domain.kayenta.classify import Direction, Metric, MetricClass, classify
from monitoring.domain.kayenta.score import Group, score

# What one point of a series is: of each step, the errors, their share, the requests, a latency quantile (s).
SERIES = ("errors", "error_rate", "requests", "latency_p50", "latency_p95", "latency_p99")
_BAD = (MetricClass.HIGH, MetricClass.LOW, MetricClass.NODATA_FAIL)


@dataclass(frozen=True, slots=True)
class KayentaGate:
    """Scores the series of both versions as Kayenta does, once, from the first `points` steps of a window.

    A score below `marginal_at` fails, below `pass_at` is inconclusive. Each metric that went up counts
    against the candidate; those in `critical` fail all when they fail. `allowed_increase` is the ratio of
    means that must be exceeded. Every later look reads the same points, so looking often changes nothing.
    Unlike the original a metric that cannot be read is an error of the gate, never a score of 100.
    """

    kind: ClassVar[str] = "kayenta"
    name: str = "kayenta"
    metrics: tuple[str, ...] = ("errors", "latency_p50", "latency_p95")
    critical: tuple[str, ...] = ()
    allowed_increase: float = 1.0
    step_seconds: float = 60.0
    points: int = 10
    pass_at: float = 95.0
    marginal_at: float = 75.0

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        default = cls()
        metrics = fields.texts("metrics", default.metrics, SERIES)
        gate = cls(
            name=fields.text("name", cls.kind),
            metrics=metrics,
            critical=fields.texts("critical", (), metrics, least=0),
            allowed_increase=fields.number("allowed_increase", 1.0, 1.0, 1000.0),
            step_seconds=fields.number("step_seconds", 60.0, 1.0, 86_400.0),
            points=fields.count("points", 10, low=3, high=10_000),
            pass_at=fields.number("pass_at", 95.0, 0.0, 100.0),
            marginal_at=fields.number("marginal_at", 75.0, 0.0, 100.0),
        )
        if gate.marginal_at > gate.pass_at:
            raise fields.invalid("marginal_at", "It must not be above pass_at.")
        return gate

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind, **asdict(self), "metrics": list(self.metrics), "critical": list(self.critical),
        }  # fmt: skip

    @property
    def seconds(self) -> float:
        """How long the window must be."""
        return self.step_seconds * self.points


def waiting(gate: KayentaGate, seconds: float) -> GateResult:
    """Too early: the rule looks once, when it has all its points."""
    have = int(seconds // gate.step_seconds)
    reason = f"{have} of {gate.points} points of {say.duration(gate.step_seconds)} so far"
    return GateResult(gate.name, gate.kind, Verdict.NO_DATA, reason, "score", n=have)


def judge(
    gate: KayentaGate, candidate: Mapping[str, FloatArray], stable: Mapping[str, FloatArray]
) -> GateResult:
    """Judge the points of both sides, each of shape (points,), by the name of the metric; NaN = no sample."""
    metrics = [
        Metric(
            name, Direction.INCREASE, allowed_increase=gate.allowed_increase, critical=name in gate.critical
        )
        for name in gate.metrics
    ]
    classes = {
        metric.name: classify(metric, candidate[metric.name], stable[metric.name]) for metric in metrics
    }
    found = score(
        metrics, classes, [Group("metrics", gate.metrics)], pass_at=gate.pass_at, marginal_at=gate.marginal_at
    )
    worse = [name for name in gate.metrics if classes[name] in _BAD]
    said = f"; {', '.join(worse)} higher than the stable version's" if worse else ""
    missing = [name for name in gate.metrics if classes[name] is MetricClass.NODATA]
    said += f"; no data on {', '.join(missing)}" if missing else ""
    reason = (
        f"Kayenta's score is {found.total:.0f} over {gate.points} points (passes at {gate.pass_at:g}){said}"
    )
    return GateResult(
        gate.name, gate.kind, found.verdict, reason, "score", n=gate.points, reference_n=gate.points,
        value=found.total, limit=gate.pass_at,
        details={"metrics": {name: item.value for name, item in classes.items()}},
    )  # fmt: skip
