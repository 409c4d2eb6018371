"""Gate on the share of requests that ended badly: against the stable version and against a ceiling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from scipy.special import bdtrc

from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.sequential import (
    difference_bounds,
    log_evidence,
    rate_lower,
    rate_upper,
    share_lower,
    surely_above,
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
    """Judge one look at level `alpha`, which holds for all looks at a growing window together.

    Relative: if both versions are equally good, each bad request is the candidate's with a probability equal
    to its share of the requests; that share is tested sequentially, and the difference must be at least
    `min_effect`. Ceiling: a sequential test of the candidate's own rate. With both, each has half of `alpha`.
    `stable` None or without requests leaves only the ceiling. A value over a limit without proof is
    inconclusive, for the relative limit only when chance alone makes it rarely (SUSPICION).
    """
    rival = stable if stable is not None and stable.total > 0 else None
    facts = _facts(gate, candidate, rival, alpha)
    if candidate.total < gate.min_samples:
        reason = f"{say.requests(candidate.total)} so far; {gate.name} needs {gate.min_samples} to judge"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    if rival is None and gate.max is None:
        reason = "no requests to the stable version to compare with, and the gate has no ceiling"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    against = "" if rival is None else f" vs {say.percent(rival.rate)} stable"
    measured = f"{gate.noun} {say.percent(candidate.rate)}{against} over {say.requests(candidate.total)}"
    level = _level(gate, rival, alpha)
    verdict, because = (rival and _compare(gate, candidate, rival, facts, level)) or (Verdict.PASS, "")
    if verdict is not Verdict.FAIL and gate.max is not None and candidate.rate > gate.max:
        verdict, because = _over_ceiling(gate.max, candidate, level)
    return GateResult(verdict=verdict, reason=measured + because, **facts)


def _level(gate: ErrorRateGate, rival: Outcomes | None, alpha: float) -> float:
    """What each of the gate's tests may use of alpha."""
    return alpha / 2 if gate.max is not None and rival is not None else alpha


def _facts(gate: ErrorRateGate, candidate: Outcomes, rival: Outcomes | None, alpha: float) -> dict[str, Any]:
    bad, total, level = candidate.bad, candidate.total, _level(gate, rival, alpha)
    facts: dict[str, Any] = {
        "name": gate.name, "kind": gate.kind, "unit": "ratio", "alpha": alpha, "ceiling": gate.max,
        "limit": gate.min_effect, "n": total, "details": {"bad": bad, "statuses": list(gate.statuses)},
    }  # fmt: skip
    if not total:
        return facts
    facts["value"] = candidate.rate
    facts["details"]["rate_interval"] = [rate_lower(bad, total, level), rate_upper(bad, total, level)]
    if rival is not None:
        evidence = log_evidence(bad, bad + rival.bad, total / (total + rival.total))
        lower, upper = difference_bounds(bad, total, rival.bad, rival.total, level)
        facts |= {
            "reference": rival.rate, "reference_n": rival.total, "effect": candidate.rate - rival.rate,
            # Proof that the candidate is worse excludes all differences below 0.
            "lower": max(lower, 0.0) if evidence >= -math.log(level) else lower,
            "upper": upper, "p_value": math.exp(min(0.0, -evidence)),
        }  # fmt: skip
        facts["details"]["reference_bad"] = rival.bad
    return facts


def _compare(
    gate: ErrorRateGate, candidate: Outcomes, rival: Outcomes, facts: Mapping[str, Any], level: float
) -> tuple[Verdict, str] | None:
    """FAIL or INCONCLUSIVE with the reason, None when the difference is no reason to stop."""
    if candidate.rate - rival.rate < gate.min_effect or candidate.rate <= rival.rate:
        return None
    bad, events = candidate.bad, candidate.bad + rival.bad
    share = candidate.total / (candidate.total + rival.total)
    if facts["p_value"] <= level:
        if facts["lower"] > 0:
            difference = say.points(facts["lower"])
            return Verdict.FAIL, f"; the difference is at least {difference} {say.CONFIDENTLY}"
        least = share_lower(bad, events, share, level)
        times = least / (1 - least) * (1 - share) / share
        return Verdict.FAIL, f"; it is at least {times:.2f} times as high {say.CONFIDENTLY}"
    if bdtrc(bad - 1, events, share) <= SUSPICION:
        return Verdict.INCONCLUSIVE, "; higher, but too few requests to tell it from chance"
    return None


def _over_ceiling(ceiling: float, candidate: Outcomes, level: float) -> tuple[Verdict, str]:
    over = f"above the ceiling of {say.percent(ceiling)}"
    if not surely_above(candidate.bad, candidate.total, ceiling, level):
        return Verdict.INCONCLUSIVE, f"; {over}, but too few requests to be sure"
    return Verdict.FAIL, f"; it is {over} {say.CONFIDENTLY}"
