"""Gate on the share of requests that ended badly: against the stable version and against a ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.proportions import (
    binomial_greater,
    clopper_pearson_lower,
    clopper_pearson_upper,
    difference_bounds,
    fisher_greater,
)
from monitoring.domain.judge.verdict import GateResult, Verdict

STATUSES = ("ok", "rejected", "error", "timeout", "unreachable", "overloaded")
ERROR_STATUSES = ("error", "timeout", "unreachable", "overloaded")
# A difference that chance explains more often than this is no reason to hold a rollout.
SUSPICION = 0.1


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many of `total` requests ended with one of the gate's statuses."""

    bad: int
    total: int

    @classmethod
    def of(cls, by_status: Mapping[str, float], statuses: tuple[str, ...]) -> Self:
        """From counts per status. Prometheus extrapolates, so counts are rounded to whole requests here."""
        bad = sum(count for status, count in by_status.items() if status in statuses)
        return cls(round(bad), max(round(bad), round(sum(by_status.values()))))

    @property
    def rate(self) -> float:
        return self.bad / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class ErrorRateGate:
    """Fails when the rate is significantly above the stable version's by `min_effect`, or above `max`.

    `max` and `min_effect` are rates in [0, 1]; `max` None = no ceiling. Below `min_samples` requests of the
    candidate the verdict is `no_data`.
    """

    kind: ClassVar[str] = "error_rate"
    name: str = "errors"
    max: float | None = 0.02
    min_effect: float = 0.005
    min_samples: int = 20
    statuses: tuple[str, ...] = ERROR_STATUSES

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        return cls(
            name=fields.text("name", cls.kind),
            max=fields.optional_number("max", 0.02, 0.0, 1.0),
            min_effect=fields.number("min_effect", 0.005, 0.0, 1.0),
            min_samples=fields.count("min_samples", 20),
            statuses=fields.texts("statuses", ERROR_STATUSES, STATUSES),
        )

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self), "statuses": list(self.statuses)}

    @property
    def noun(self) -> str:
        return "rejection rate" if self.statuses == ("rejected",) else "error rate"


def judge(gate: ErrorRateGate, candidate: Outcomes, stable: Outcomes | None, alpha: float) -> GateResult:
    """Judge one look at significance level `alpha`; `stable` None or empty leaves only the ceiling.

    Relative: Fisher's exact test, one-sided, and a difference of at least `min_effect`. Ceiling: exact
    binomial test. With both, each has half of `alpha`. A value over a limit without significance
    is inconclusive, for the relative limit only when it is also unlikely to be chance (p ≤ 0.1).
    """
    rival = stable if stable is not None and stable.total > 0 else None
    facts = _facts(gate, candidate, rival, alpha)
    if candidate.total < gate.min_samples:
        reason = f"{say.requests(candidate.total)} so far; {gate.name} needs {gate.min_samples} to judge"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    if rival is None and gate.max is None:
        reason = "no requests to the stable version to compare with, and the gate has no ceiling"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    verdict, because = _decide(gate, candidate, rival, facts, alpha)
    return GateResult(verdict=verdict, reason=_measured(gate, candidate, rival) + because, **facts)


def _level(gate: ErrorRateGate, alpha: float, rival: Outcomes | None) -> float:
    """What each of the gate's tests may use of alpha."""
    return alpha / 2 if gate.max is not None and rival is not None else alpha


def _facts(gate: ErrorRateGate, candidate: Outcomes, rival: Outcomes | None, alpha: float) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": gate.name, "kind": gate.kind, "unit": "ratio", "alpha": alpha, "ceiling": gate.max,
        "limit": gate.min_effect, "n": candidate.total,
        "details": {"bad": candidate.bad, "statuses": list(gate.statuses)},
    }  # fmt: skip
    if not candidate.total:
        return facts
    level = _level(gate, alpha, rival)
    bad, total = candidate.bad, candidate.total
    facts["value"] = candidate.rate
    facts["details"]["rate_interval"] = [
        clopper_pearson_lower(bad, total, level), clopper_pearson_upper(bad, total, level),
    ]  # fmt: skip
    if rival is not None:
        lower, upper = difference_bounds(bad, total, rival.bad, rival.total, level)
        facts |= {
            "reference": rival.rate, "reference_n": rival.total, "effect": candidate.rate - rival.rate,
            "lower": lower, "upper": upper,
            "p_value": fisher_greater(bad, total, rival.bad, rival.total),
        }  # fmt: skip
        facts["details"]["reference_bad"] = rival.bad
    return facts


def _decide(
    gate: ErrorRateGate, candidate: Outcomes, rival: Outcomes | None, facts: dict[str, Any], alpha: float
) -> tuple[Verdict, str]:
    level = _level(gate, alpha, rival)
    apart = rival is not None and candidate.rate > rival.rate and facts["effect"] >= gate.min_effect
    if apart and facts["p_value"] <= level and facts["lower"] > 0:
        difference = say.points(facts["lower"])
        return Verdict.FAIL, f"; the difference is at least {difference} {say.CONFIDENTLY}"
    if gate.max is not None and candidate.rate > gate.max:
        over = f"above the ceiling of {say.percent(gate.max)}"
        if binomial_greater(candidate.bad, candidate.total, gate.max) <= level:
            surely = say.percent(facts["details"]["rate_interval"][0])
            return Verdict.FAIL, f"; it is at least {surely} {say.CONFIDENTLY}, {over}"
        return Verdict.INCONCLUSIVE, f"; {over}, but too few requests to be sure"
    if apart and facts["p_value"] <= SUSPICION:
        return Verdict.INCONCLUSIVE, "; higher, but too few requests to tell it from chance"
    return Verdict.PASS, ""


def _measured(gate: ErrorRateGate, candidate: Outcomes, rival: Outcomes | None) -> str:
    against = "" if rival is None else f" vs {say.percent(rival.rate)} stable"
    return f"{gate.noun} {say.percent(candidate.rate)}{against} over {say.requests(candidate.total)}"
