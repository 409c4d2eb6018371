"""Gates on figures without a known distribution: a limit that is passed for so long, not once.

Queue depths, GPU figures and whatever a query yields have no sampling error that could be computed, so no
confidence is claimed: a single high reading never fails a rollout, and a low one among them ends the breach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.domain.arrays import BoolArray, FloatArray
from monitoring.domain.judge import wording as say
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.verdict import SEVERITY, GateResult, Verdict
from monitoring.domain.window import Window

LEAST_READINGS = 3


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long a limit must be passed: every reading of the last `for_seconds`, `step_seconds` apart."""

    for_seconds: int
    step_seconds: int

    @classmethod
    def parse(cls, fields: Fields, for_seconds: int, step_seconds: int) -> Lasting:
        found = cls(
            for_seconds=fields.count("for_seconds", for_seconds, low=5, high=86_400),
            step_seconds=fields.count("step_seconds", step_seconds, low=1, high=3_600),
        )
        if not LEAST_READINGS <= found.readings <= 1_000:
            hint = "Choose for_seconds as 3 to 1,000 times step_seconds."
            raise fields.invalid("for_seconds", f"That would be {found.readings} readings.", hint)
        return found

    @property
    def readings(self) -> int:
        return self.for_seconds // self.step_seconds

    def within(self, window: Window) -> Window | None:
        """The part of the window that is read; None while the window is younger than that."""
        if window.seconds < self.for_seconds:
            return None
        return Window.last(self.readings * self.step_seconds, window.end)


@dataclass(frozen=True, slots=True)
class Limits:
    """A figure below `low` or above `high` breaches; None = no such limit."""

    low: float | None = None
    high: float | None = None

    def breached(self, values: FloatArray) -> BoolArray:
        """Which of the values of shape (T,) are beyond a limit; NaN is not."""
        above = values > (np.inf if self.high is None else self.high)
        below = values < (-np.inf if self.low is None else self.low)
        found: BoolArray = above | below
        return found

    def text(self) -> str:
        known = ((self.low, "at least"), (self.high, "at most"))
        return " and ".join(f"{word} {limit:g}" for limit, word in known if limit is not None)


def young(name: str, kind: str, lasting: Lasting, window: Window) -> GateResult:
    """Too early: the share of traffic has not been in effect for as long as a breach must last."""
    have, need = say.duration(int(window.seconds)), say.duration(lasting.for_seconds)
    return GateResult(name, kind, Verdict.NO_DATA, f"{have} seen so far; judging it needs {need}", "value")


def judge(
    name: str, kind: str, what: str, readings: Mapping[str, FloatArray], limits: Limits, lasting: Lasting
) -> GateResult:
    """The worst of the series in `readings`, by where each comes from, all of shape (T,), newest last."""
    facts: dict[str, Any] = {
        "name": name, "kind": kind, "unit": "value", "ceiling": limits.high,
        "details": {"low": limits.low, "high": limits.high, "readings": lasting.readings},
    }  # fmt: skip
    if not readings:
        return GateResult(verdict=Verdict.NO_DATA, reason=f"there is no {what} so far", **facts)
    found = {where: _verdict(values, limits) for where, values in readings.items()}
    worst = min(found, key=lambda where: (SEVERITY.index(found[where]), where))
    values, verdict = readings[worst], found[worst]
    n = int(np.isfinite(values).sum())
    at = f" at {worst}" if worst else ""
    newest = float(values[-1]) if n and np.isfinite(values[-1]) else None
    reason = f"{what} {_figure(newest)}{at} (limit: {limits.text()}){_because(verdict, n, lasting)}"
    return GateResult(verdict=verdict, reason=reason, value=newest, n=n, **facts)


def _verdict(values: FloatArray, limits: Limits) -> Verdict:
    known = np.isfinite(values)
    if known.sum() < LEAST_READINGS or not known[-1]:
        return Verdict.NO_DATA
    beyond = limits.breached(values)
    if beyond[known].all():
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if beyond[-1] else Verdict.PASS


def _because(verdict: Verdict, n: int, lasting: Lasting) -> str:
    lasted = say.duration(lasting.for_seconds)
    if verdict is Verdict.FAIL:
        return f"; beyond it in all {n} readings of the last {lasted}"
    if verdict is Verdict.INCONCLUSIVE:
        return f"; beyond it, but not for {lasted} yet"
    if verdict is Verdict.NO_DATA:
        return f"; {n} of {lasting.readings} readings of the last {lasted} are known, the newest must be"
    return ""


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.4g}"
