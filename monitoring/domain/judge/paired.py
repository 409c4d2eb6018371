"""Gate on shadow traffic: the same requests answered by both versions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.means import mixture_radius
from monitoring.domain.judge.sequential import rate_lower, rate_upper
from monitoring.domain.judge.verdict import SEVERITY, GateResult, Verdict
from monitoring.domain.pairs import Comparison, Tolerance

# How many of the worst pairs are written into the evidence.
TOLD = 5


@dataclass(frozen=True, slots=True)
class PairedGate:
    """Fails when versions surely agree on fewer than `min_agreement` of the requests, when their answers
    surely differ by more than `max_difference` on average, or correlate in rank less than `min_correlation`.

    `output` None = the first. Classes agree when equal, numbers when |a − b| ≤ tolerance +
    relative_tolerance·|stable|. None = this limit is not applied. Below `min_samples` pairs: `no_data`.
    """

    kind: ClassVar[str] = "paired_predictions"
    name: str = "shadow"
    output: str | None = None
    tolerance: float = 0.0
    relative_tolerance: float = 0.001
    min_agreement: float | None = 0.95
    max_difference: float | None = None
    min_correlation: float | None = None
    min_samples: int = 100

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        gate = cls(
            name=fields.text("name", "shadow"),
            output=fields.optional_text("output"),
            tolerance=fields.number("tolerance", 0.0, 0.0, 1e12),
            relative_tolerance=fields.number("relative_tolerance", 0.001, 0.0, 1e6),
            min_agreement=fields.optional_number("min_agreement", 0.95, 0.0, 1.0),
            max_difference=fields.optional_number("max_difference", None, 0.0, 1e12),
            min_correlation=fields.optional_number("min_correlation", None, -1.0, 1.0),
            min_samples=fields.count("min_samples", 100, low=30),
        )
        if gate.tests == 0:
            raise fields.invalid("min_agreement", "A gate without any limit judges nothing.")
        return gate

    @property
    def tests(self) -> int:
        """How many limits it applies."""
        return sum(
            limit is not None for limit in (self.min_agreement, self.max_difference, self.min_correlation)
        )

    @property
    def allowed(self) -> Tolerance:
        return Tolerance(self.tolerance, self.relative_tolerance)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}


Found = tuple[Verdict, str]


def judge(
    gate: PairedGate, output: str, found: Comparison, segments: Mapping[str, Comparison], alpha: float
) -> GateResult:
    """Judge one look at level `alpha`, split over the limits; it holds for all looks at a growing window."""
    level = alpha / gate.tests
    facts: dict[str, Any] = {
        "name": gate.name, "kind": gate.kind, "unit": "ratio", "alpha": alpha, "n": found.pairs,
        "limit": None if gate.min_agreement is None else 1 - gate.min_agreement,
        "details": _details(output, found, segments),
    }  # fmt: skip
    if found.pairs < gate.min_samples:
        reason = (
            f"{say.requests(found.pairs)} answered by both versions so far; "
            f"comparing them needs {gate.min_samples}"
        )
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    lower, upper = rate_lower(found.agreed, found.pairs, level), rate_upper(found.agreed, found.pairs, level)
    results = [
        item
        for item in (
            _agreement(gate, found, upper),
            _difference(gate, found, level),
            _correlation(gate, found, level),
        )
        if item is not None
    ]
    verdict = next(verdict for verdict in SEVERITY if any(item[0] is verdict for item in results))
    because = "; ".join(text for item, text in results if item is verdict and text)
    measured = (
        f"both versions agree on {say.percent(found.rate)} of {say.requests(found.pairs)} ({output})"
        f"{_apart(found)}"
    )
    return GateResult(
        verdict=verdict, reason=f"{measured}; {because}" if because else measured,
        value=found.rate, effect=1 - found.rate, lower=1 - upper, upper=1 - lower, **facts,
    )  # fmt: skip


def _agreement(gate: PairedGate, found: Comparison, upper: float) -> Found | None:
    if gate.min_agreement is None:
        return None
    limit = say.percent(gate.min_agreement)
    if upper < gate.min_agreement:
        return Verdict.FAIL, f"at most {say.percent(upper)} {say.CONFIDENTLY}, where {limit} are asked for"
    if found.rate < gate.min_agreement:
        return Verdict.INCONCLUSIVE, f"below the {limit} asked for, but too few requests to be sure"
    return Verdict.PASS, ""


def _difference(gate: PairedGate, found: Comparison, level: float) -> Found | None:
    if gate.max_difference is None:
        return None
    sample = found.difference
    if sample.n < gate.min_samples:
        return Verdict.NO_DATA, f"only {sample.n:,} of them are numbers, so no difference can be told"
    lower = sample.mean - mixture_radius(sample.variance / sample.n, sample.n / 2, level)
    if lower > gate.max_difference:
        return (
            Verdict.FAIL,
            f"they differ by at least {lower:.3g} {say.CONFIDENTLY} (limit {gate.max_difference:g})",
        )
    if sample.mean > gate.max_difference:
        return Verdict.INCONCLUSIVE, f"over the difference of {gate.max_difference:g} allowed, but not surely"
    return Verdict.PASS, ""


def _correlation(gate: PairedGate, found: Comparison, level: float) -> Found | None:
    """On Fisher's scale, with the variance (1 + ρ²/2)/(n − 3) of Bonett & Wright 2000."""
    if gate.min_correlation is None:
        return None
    if found.correlation is None or found.difference.n < gate.min_samples:
        return (
            Verdict.NO_DATA,
            "ranks cannot be compared: too few numbers, or all the same",
        )
    rho = max(-0.999999, min(0.999999, found.correlation))
    squared = (1 + rho**2 / 2) / (found.difference.n - 3)
    upper = math.tanh(math.atanh(rho) + mixture_radius(squared, found.difference.n / 2, level))
    if upper < gate.min_correlation:
        return (
            Verdict.FAIL,
            f"rank correlation is at most {upper:.3f} {say.CONFIDENTLY} (limit {gate.min_correlation:g})",
        )
    if found.correlation < gate.min_correlation:
        return (
            Verdict.INCONCLUSIVE,
            f"below the rank correlation of {gate.min_correlation:g} asked for, but not surely",
        )
    return Verdict.PASS, ""


def _apart(found: Comparison) -> str:
    if not found.difference.n:
        return ""
    correlation = "" if found.correlation is None else f", rank correlation {found.correlation:.3f}"
    return f", mean absolute difference {found.difference.mean:.3g}{correlation}"


def _details(output: str, found: Comparison, segments: Mapping[str, Comparison]) -> dict[str, Any]:
    told = found.to_dict()
    told["worst"] = told["worst"][:TOLD]
    return {
        "output": output,
        **told,
        "segments": {
            name: {"pairs": item.pairs, "agreement": item.rate} for name, item in list(segments.items())[:20]
        },
    }
