"""What a gate and a whole analysis can say, and how gates combine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"
    ERROR = "error"


# The worst gate decides; a violated gate outweighs one that could not be measured.
SEVERITY = (Verdict.FAIL, Verdict.ERROR, Verdict.NO_DATA, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's verdict with the numbers it rests on.

    `value` and `reference` are the candidate's and the rival's figure in `unit` (`ratio`, `seconds` or
    `psi`), from `n` and `reference_n` observations; `lower` and `upper` bound `effect` (what the gate
    compares: a difference of rates, a ratio of latencies, a divergence) at confidence 1 − `alpha`, and
    `p_value` is of no effect at all;
    `limit` is the effect above which the gate fails. None = not applicable or not known. All JSON.
    """

    name: str
    kind: str
    verdict: Verdict
    reason: str
    unit: str = ""
    n: float | None = None
    reference_n: float | None = None
    value: float | None = None
    reference: float | None = None
    effect: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None
    ceiling: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict.value}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        return cls(**{**document, "verdict": Verdict(document["verdict"])})


def combine(results: Iterable[GateResult]) -> tuple[Verdict, str]:
    """The verdict of all gates together and the sentence of the gates that decided it.

    No gates at all is an error: an analysis that looked at nothing must not let a rollout go on.
    """
    items = list(results)
    if not items:
        return Verdict.ERROR, "No gate was judged; an analysis needs at least one."
    for verdict in SEVERITY:
        deciding = [item for item in items if item.verdict is verdict]
        if verdict is Verdict.PASS:
            return verdict, f"All {len(items)} gates hold: " + "; ".join(item.reason for item in items)
        if deciding:
            return verdict, "; ".join(f"{item.name}: {item.reason}" for item in deciding)
    raise AssertionError("unreachable: SEVERITY names every verdict")
