"""Gate on what came of the predictions: a conversion, a revenue, a rating, joined by request id."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.means import Difference, Moments, difference
from monitoring.domain.judge.verdict import GateResult, Verdict

# A difference that chance explains more often than this is no reason to hold a rollout.
SUSPICION = 0.1


@dataclass(frozen=True, slots=True)
class OutcomeGate:
    """Compares the mean of the labels named `outcome` between the versions; `better` is `higher` or `lower`.

    With `require` `not_worse` it fails when the candidate is surely worse, and measured worse by
    `min_effect`. With `better` it passes only when the candidate is surely better, and measured better by
    `min_effect`; it fails when it is surely not better by that much. `min_effect` is in the unit of the
    outcome, or with `relative` a share of the stable version's mean. Below `min_samples` labels of either
    version the verdict is `no_data`.
    """

    kind: ClassVar[str] = "outcome"
    name: str = "outcome"
    outcome: str = "label"
    better: str = "higher"
    require: str = "not_worse"
    min_effect: float = 0.0
    relative: bool = False
    min_samples: int = 100

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        return cls(
            name=fields.text("name", cls.kind),
            outcome=fields.text("outcome", "label"),
            better=fields.choice("better", "higher", ("higher", "lower")),
            require=fields.choice("require", "not_worse", ("not_worse", "better")),
            min_effect=fields.number("min_effect", 0.0, 0.0, 1e12),
            relative=fields.flag("relative", False),
            min_samples=fields.count("min_samples", 100, low=30),
        )

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    def least(self, stable: Moments) -> float:
        """The least effect that counts, in the unit of the outcome."""
        return self.min_effect * (abs(stable.mean) if self.relative else 1.0)

    def gain(self, found: Difference) -> Difference:
        """The difference turned so that above 0 is better."""
        if self.better == "higher":
            return found
        return Difference(-found.value, -found.upper, -found.lower, 1 - found.p_below)


def judge(gate: OutcomeGate, candidate: Moments, stable: Moments | None, alpha: float) -> GateResult:
    """Judge one look at level `alpha`, which holds for all looks at a growing window together."""
    facts: dict[str, Any] = {"name": gate.name, "kind": gate.kind, "alpha": alpha, "n": candidate.n}
    if stable is None:
        reason = "there is no stable version to compare outcomes with"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    facts["reference_n"] = stable.n
    if min(candidate.n, stable.n) < gate.min_samples:
        reason = (
            f"{gate.outcome} is known of {say.count(candidate.n)} predictions vs {say.count(stable.n)} "
            f"stable so far; comparing them needs {gate.min_samples} of each"
        )
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    binary = candidate.binary and stable.binary
    if not binary and not (candidate.variance > 0 and stable.variance > 0):
        reason = f"{gate.outcome} is the same for every prediction of a version so far; chance is not known"
        return GateResult(verdict=Verdict.NO_DATA, reason=reason, **facts)
    found = difference(candidate, stable, alpha)
    least = gate.least(stable)
    decide = _not_worse if gate.require == "not_worse" else _better
    verdict, because = decide(gate.gain(found), least, binary)
    measured = (
        f"{gate.outcome} {_figure(candidate.mean, binary)} vs {_figure(stable.mean, binary)} stable over "
        f"{say.count(candidate.n)} predictions"
    )
    return GateResult(
        verdict=verdict, reason=measured + because, unit="ratio" if binary else "mean", value=candidate.mean,
        reference=stable.mean, effect=found.value, lower=found.lower, upper=found.upper, limit=least,
        details={
            "outcome": gate.outcome, "better": gate.better, "require": gate.require,
            "variance": candidate.variance, "reference_variance": stable.variance,
        },
        **facts,
    )  # fmt: skip


def _not_worse(gain: Difference, least: float, binary: bool) -> tuple[Verdict, str]:
    if gain.value >= 0 or -gain.value < least:
        return Verdict.PASS, ""
    if gain.upper < 0:
        return Verdict.FAIL, f"; it is worse by at least {_size(-gain.upper, binary)} {say.CONFIDENTLY}"
    if gain.p_below <= SUSPICION:
        return Verdict.INCONCLUSIVE, "; worse, but too few predictions to tell it from chance"
    return Verdict.PASS, ""


def _better(gain: Difference, least: float, binary: bool) -> tuple[Verdict, str]:
    if gain.lower > 0 and gain.value >= least:
        return Verdict.PASS, f"; it is better by at least {_size(gain.lower, binary)} {say.CONFIDENTLY}"
    if gain.upper < 0:
        return Verdict.FAIL, f"; it is worse by at least {_size(-gain.upper, binary)} {say.CONFIDENTLY}"
    if gain.upper < least:
        return (
            Verdict.FAIL,
            f"; it is better by less than {_size(least, binary)} {say.CONFIDENTLY}",
        )
    return Verdict.INCONCLUSIVE, "; not proven better so far"


def _figure(value: float, binary: bool) -> str:
    return say.percent(value) if binary else f"{value:.4g}"


def _size(value: float, binary: bool) -> str:
    return say.points(value) if binary else f"{value:.3g}"
