"""Gate on a latency quantile: its ratio to the stable version's and an absolute ceiling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from monitoring.domain.histogram import Histogram
from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.quantiles import Estimate, estimate, ratio_bounds
from monitoring.domain.judge.verdict import GateResult, Verdict


@dataclass(frozen=True, slots=True)
class LatencyGate:
    """Fails when the quantile is surely more than `max_ratio` times the stable version's and at least
    `min_effect_ms` slower, or surely above `max_ms`. Either limit may be None, not both.

    `quantile` in (0, 1); times in milliseconds; `min_samples` requests are needed of each version compared.
    """

    kind: ClassVar[str] = "latency"
    name: str = "latency_p95"
    quantile: float = 0.95
    max_ratio: float | None = 1.5
    min_effect_ms: float = 3.0
    max_ms: float | None = None
    min_samples: int = 60
    metric: str = "model_prediction_seconds"

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        quantile = fields.number("quantile", 0.95, 0.01, 0.9999)
        gate = cls(
            name=fields.text("name", f"latency_{say.quantile_name(quantile)}"),
            quantile=quantile,
            max_ratio=fields.optional_number("max_ratio", 1.5, 1.0, 1000.0),
            min_effect_ms=fields.number("min_effect_ms", 3.0, 0.0, 3_600_000.0),
            max_ms=fields.optional_number("max_ms", None, 0.0, 3_600_000.0, above_low=True),
            min_samples=fields.count("min_samples", 60),
            metric=fields.text("metric", "model_prediction_seconds"),
        )
        if gate.max_ratio is None and gate.max_ms is None:
            raise fields.invalid("max_ratio", "A latency gate needs max_ratio, max_ms or both.")
        return gate

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    def comparable(self, stable: Histogram | None) -> bool:
        """Whether the relative limit applies and there is enough of the stable version to compare with."""
        return self.max_ratio is not None and stable is not None and round(stable.total) >= self.min_samples

    def level(self, alpha: float) -> float:
        """What each of the gate's two tests may use of alpha."""
        return alpha / 2 if self.max_ratio is not None and self.max_ms is not None else alpha


def judge(
    gate: LatencyGate, candidate: Histogram | None, stable: Histogram | None, alpha: float
) -> GateResult:
    """Judge one look at significance level `alpha`, from histograms of seconds over the same window.

    Fails only on bounds that hold at confidence 1 − alpha; a measured value over a limit that chance could
    still explain is inconclusive.
    """
    quantile = say.quantile_name(gate.quantile)
    n = round(candidate.total) if candidate is not None else 0
    if candidate is None or n < gate.min_samples:
        reason = f"{say.requests(n)} so far; {quantile} latency needs {gate.min_samples} to judge"
        return GateResult(gate.name, gate.kind, Verdict.NO_DATA, reason, "seconds", n, alpha=alpha)
    top = estimate(candidate, gate.quantile, gate.level(alpha))
    bottom = None
    if stable is not None and gate.comparable(stable):
        bottom = estimate(stable, gate.quantile, gate.level(alpha))
    facts = _facts(gate, top, bottom, alpha)
    if bottom is None and gate.max_ms is None:
        have = round(stable.total) if stable is not None else 0
        reason = f"{say.requests(have)} to the stable version; comparing {quantile} needs {gate.min_samples}"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    against = "" if bottom is None else f" vs {say.milliseconds(bottom.value)} stable"
    measured = f"{quantile} latency {say.milliseconds(top.value)}{against} over {say.requests(n)}"
    verdict, because = _decide(gate, top, bottom, facts)
    return GateResult(verdict=verdict, reason=measured + because, **facts)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _facts(gate: LatencyGate, top: Estimate, bottom: Estimate | None, alpha: float) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": gate.name, "kind": gate.kind, "unit": "seconds", "alpha": alpha, "n": top.n,
        "value": _finite(top.value), "limit": gate.max_ratio,
        "ceiling": None if gate.max_ms is None else gate.max_ms / 1000,
        "details": {"quantile": gate.quantile, "interval": [top.lower, _finite(top.upper)]},
    }  # fmt: skip
    if bottom is not None:
        lower, upper = ratio_bounds(top, bottom)
        facts |= {
            "reference_n": bottom.n, "reference": _finite(bottom.value),
            "lower": lower, "upper": _finite(upper),
            "effect": top.value / bottom.value if bottom.value > 0 else None,
        }  # fmt: skip
        facts["details"]["reference_interval"] = [bottom.lower, _finite(bottom.upper)]
    return facts


def _decide(
    gate: LatencyGate, top: Estimate, bottom: Estimate | None, facts: Mapping[str, Any]
) -> tuple[Verdict, str]:
    marginal = ""
    ratio = facts.get("effect")
    if bottom is not None and gate.max_ratio is not None and ratio is not None:
        slower = top.value - bottom.value >= gate.min_effect_ms / 1000
        if slower and facts["lower"] > gate.max_ratio:
            return (
                Verdict.FAIL,
                f"; it is at least {facts['lower']:.2f} times as long {say.CONFIDENTLY}",
            )
        if slower and ratio > gate.max_ratio:
            marginal = (
                f"; {ratio:.2f} times as long, but too few requests to be sure it is over {gate.max_ratio:g}"
            )
    if gate.max_ms is not None:
        ceiling = say.milliseconds(gate.max_ms / 1000)
        if top.lower > gate.max_ms / 1000:
            at_least = say.milliseconds(top.lower)
            return (
                Verdict.FAIL,
                f"; it is at least {at_least} {say.CONFIDENTLY}, above the ceiling of {ceiling}",
            )
        if top.value > gate.max_ms / 1000:
            marginal = marginal or f"; above the ceiling of {ceiling}, but too few requests to be sure"
    return (Verdict.INCONCLUSIVE, marginal) if marginal else (Verdict.PASS, "")
