"""Gate on the distribution of a model's output: against the stable version or against the baseline."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from monitoring.domain.arrays import FloatArray
from monitoring.domain.drift.bounds import STATISTICS, Bounded
from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.verdict import GateResult, Verdict


@dataclass(frozen=True, slots=True)
class DistributionGate:
    """Fails when the divergence of an output is surely above `max`: its PSI, or with `js` its Jensen–Shannon
    distance to base 2, which is in [0, 1].

    `metric` is the histogram of a numeric output or the counter of an output's classes; `output` None = the
    profile's first output. `against` `stable` compares with the stable version over the same window (a shift
    of the inputs moves both), `baseline` with the counts recorded at registration.
    """

    kind: ClassVar[str] = "distribution"
    name: str = "output"
    metric: str = "model_output_value"
    output: str | None = None
    statistic: str = "psi"
    max: float = 0.2
    against: str = "stable"
    min_samples: int = 100

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        return cls(
            name=fields.text("name", "output"),
            metric=fields.choice("metric", "model_output_value", (NUMERIC_METRIC, CLASS_METRIC)),
            output=fields.optional_text("output"),
            statistic=fields.choice("statistic", "psi", ("psi", "js")),
            max=fields.number("max", 0.2, 0.0, 100.0, above_low=True),
            against=fields.choice("against", "stable", ("stable", "baseline")),
            min_samples=fields.count("min_samples", 100, low=10),
        )

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}


NUMERIC_METRIC = "model_output_value"
CLASS_METRIC = "model_output_class_total"


@dataclass(frozen=True, slots=True, eq=False)
class BinnedPair:
    """Counts of the candidate and of what it is compared with, over the same bins, both of shape (B,)."""

    output: str
    candidate: FloatArray
    reference: FloatArray

    @classmethod
    def partial(cls, output: str, candidate: float = 0.0, reference: float = 0.0) -> Self:
        """One side, or both, was not observed: only totals are known."""
        return cls(output, np.array([candidate]), np.array([reference]))


def judge(gate: DistributionGate, pair: BinnedPair, alpha: float) -> GateResult:
    """Judge one look at significance level `alpha`.

    Fails when the lower confidence bound of the true divergence is above `max`, so neither noise nor a shift
    that is really below `max` fails it; a measured one above `max` that chance could explain is inconclusive.
    """
    n, m = round(float(pair.candidate.sum())), round(float(pair.reference.sum()))
    rival = "the stable version" if gate.against == "stable" else "the baseline"
    common = {
        "name": gate.name,
        "kind": gate.kind,
        "unit": gate.statistic,
        "n": n,
        "reference_n": m,
        "alpha": alpha,
    }
    if n < gate.min_samples or m < gate.min_samples:
        reason = (
            f"{_counted(gate, pair.output, n, m)}; comparing distributions needs {gate.min_samples} of each"
        )
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, limit=gate.max, **common)  # type: ignore[arg-type]
    found = STATISTICS[gate.statistic](pair.candidate, pair.reference, alpha)
    verdict, because = _decide(gate, found)
    what = f"{say.DIVERGENCES[gate.statistic]} of {pair.output} {found.value:.2f}"
    measured = f"{what} vs {rival} over {say.count(n)} predictions"
    return GateResult(
        verdict=verdict, reason=measured + because, value=found.value, effect=found.value, lower=found.lower,
        limit=gate.max, p_value=found.p_value,
        details={"output": pair.output, "against": gate.against, "bins": found.bins},
        **common,  # type: ignore[arg-type]
    )  # fmt: skip


def _counted(gate: DistributionGate, output: str, n: int, m: int) -> str:
    """How many there are of each side; a baseline is what it is."""
    if gate.against == "stable":
        return f"{say.count(n)} predictions of {output} vs {say.count(m)} of the stable version so far"
    if m < gate.min_samples:
        return f"the baseline of {output} has {say.count(m)} values and does not grow"
    return f"{say.count(n)} predictions of {output} so far vs {say.count(m)} of the baseline"


def _decide(gate: DistributionGate, found: Bounded) -> tuple[Verdict, str]:
    if found.lower > gate.max:
        return (
            Verdict.FAIL,
            f"; the true divergence is at least {found.lower:.2f} {say.CONFIDENTLY} (limit {gate.max:g})",
        )
    if found.value > gate.max:
        return (
            Verdict.INCONCLUSIVE,
            f"; over the limit of {gate.max:g}, but too few predictions to tell it from chance",
        )
    return Verdict.PASS, f" (limit {gate.max:g})"
