"""Gate results as rows of a table: numbers with their units, limits in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monitoring.domain.judge import GateResult
from rollouts.web.look import Badge, sentence, verdict_badge

NONE = "–"


@dataclass(frozen=True, slots=True)
class GateRow:
    """One gate as the table shows it; every number is text with its unit."""

    name: str
    kind: str
    badge: Badge
    reason: str
    candidate: str
    stable: str
    candidate_n: str
    stable_n: str
    effect: str
    limits: tuple[str, ...]


def gate_row(result: GateResult) -> GateRow:
    """A gate's result as text."""
    return GateRow(
        name=result.name,
        kind=result.kind.replace("_", " "),
        badge=verdict_badge(result.verdict),
        reason=sentence(result.reason),
        candidate=quantity(result.value, result.unit),
        stable=quantity(result.reference, result.unit),
        candidate_n=count(result.n),
        stable_n=count(result.reference_n),
        effect=_compared(result) if result.kind == "outcome" else _effect(result.effect, result.unit),
        limits=_limits(result),
    )


def quantity(value: float | None, unit: str) -> str:
    """A figure in a gate's unit: ratios as percent, seconds as milliseconds, the rest as is."""
    if value is None or not math.isfinite(value):
        return NONE
    if unit == "ratio":
        return f"{100 * value:.3g} %"
    if unit == "seconds":
        return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.3g}"


def count(value: float | None) -> str:
    """A number of observations; extrapolated counts are fractional and are shown rounded."""
    return NONE if value is None or not math.isfinite(value) else f"{value:,.0f}"


def _effect(effect: float | None, unit: str) -> str:
    """What the gate compares: a difference of rates, a ratio of latencies, a divergence."""
    if effect is None or not math.isfinite(effect):
        return NONE
    if unit == "ratio":
        return f"{100 * effect:+.3g} points".replace("-", "−") if effect else "0 points"
    if unit == "seconds":
        return f"{effect:.3g} ×"
    return f"{effect:.3g}"


def _compared(result: GateResult) -> str:
    """The difference of an outcome between the arms of an experiment, with its interval."""
    if result.effect is None or result.lower is None or result.upper is None:
        return NONE
    scale, unit = (100, " points") if result.unit == "ratio" else (1, "")
    low, middle, high = (f"{scale * bound:+.3g}" for bound in (result.lower, result.effect, result.upper))
    return f"{middle}{unit} ({low} to {high})".replace("-", "−")


def _limits(result: GateResult) -> tuple[str, ...]:
    """What the difference and the candidate's own figure may be at most."""
    if result.kind == "outcome":
        return (f"counts from {quantity(result.limit, result.unit)}",) if result.limit else (NONE,)
    limits = []
    if result.limit is not None:
        limits.append(f"difference ≤ {_effect(result.limit, result.unit).removeprefix('+')}")
    if result.ceiling is not None:
        limits.append(f"candidate ≤ {quantity(result.ceiling, result.unit)}")
    return tuple(limits) or (NONE,)
