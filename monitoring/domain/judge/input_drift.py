"""Gate on the inputs that the candidate sees: each feature against its baseline profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from monitoring.domain.drift.bounds import STATISTICS, Bounded
from monitoring.domain.judge import wording as say
from monitoring.domain.judge.distribution import BinnedPair
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.verdict import GateResult, Verdict


@dataclass(frozen=True, slots=True)
class InputDriftGate:
    """Fails when the true divergence of a feature from the baseline profile is surely above `max`.

    `features` empty = all of the profile. The level is split over the features that are judged.
    """

    kind: ClassVar[str] = "input_drift"
    name: str = "input_drift"
    features: tuple[str, ...] = ()
    statistic: str = "psi"
    max: float = 0.2
    min_samples: int = 100

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        return cls(
            name=fields.text("name", cls.kind),
            features=fields.words("features"),
            statistic=fields.choice("statistic", "psi", ("psi", "ks")),
            max=fields.number("max", 0.2, 0.0, 100.0, above_low=True),
            min_samples=fields.count("min_samples", 100, low=10),
        )

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self), "features": list(self.features)}


def judge(gate: InputDriftGate, pairs: Sequence[BinnedPair], alpha: float) -> GateResult:
    """Judge one look at level `alpha` from the counts of each feature and of its profile."""
    facts: dict[str, Any] = {
        "name": gate.name, "kind": gate.kind, "unit": gate.statistic, "alpha": alpha, "limit": gate.max,
        "n": max((round(float(pair.candidate.sum())) for pair in pairs), default=0),
    }  # fmt: skip
    enough = [
        pair for pair in pairs
        if pair.candidate.sum() >= gate.min_samples and pair.reference.sum() >= gate.min_samples
    ]  # fmt: skip
    if not enough:
        reason = f"{say.count(facts['n'])} values of a feature so far; comparing needs {gate.min_samples}"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    assess = STATISTICS[gate.statistic]
    found = {pair.output: assess(pair.candidate, pair.reference, alpha / len(enough)) for pair in enough}
    worst = max(found, key=lambda name: (found[name].lower > gate.max, found[name].value))
    verdict, because = _decide(gate, found[worst])
    missing = len(pairs) - len(enough)
    reason = (
        f"{say.DIVERGENCES[gate.statistic]} of {worst} {found[worst].value:.2f} vs the baseline, "
        f"the largest of {len(enough)} features{because}"
        f"{f'; too few values of {missing} others' if missing else ''}"
    )
    values = {name: round(item.value, 4) for name, item in found.items()}
    return GateResult(
        verdict=verdict, reason=reason, value=found[worst].value, effect=found[worst].value,
        lower=found[worst].lower, p_value=found[worst].p_value,
        details={"feature": worst, "features": dict(sorted(values.items(), key=lambda item: -item[1])[:50])},
        **facts,
    )  # fmt: skip


def _decide(gate: InputDriftGate, found: Bounded) -> tuple[Verdict, str]:
    if found.lower > gate.max:
        return Verdict.FAIL, f"; truly at least {found.lower:.2f} {say.CONFIDENTLY} (limit {gate.max:g})"
    if found.value > gate.max:
        return Verdict.INCONCLUSIVE, f"; over the limit of {gate.max:g}, but chance could explain it"
    return Verdict.PASS, f" (limit {gate.max:g})"
