"""The steps of a plan as the page draws them: a few stages, each with how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.plan import (
    Analyse,
    Hold,
    Mirror,
    Plan,
    Promote,
    Provision,
    Retire,
    SetWeight,
    Step,
    duration,
)

State = Literal["done", "current", "held", "stopped", "todo"]
_HELD = frozenset({Phase.HOLDING, Phase.PAUSED, Phase.AWAITING_APPROVAL})
_STOPPED = TERMINAL - {Phase.SUCCEEDED, Phase.CONCLUDED} | {Phase.ROLLING_BACK}


@dataclass(frozen=True, slots=True)
class Stage:
    """One rung: the steps that belong to one weight. `percent` is how much of it is done, 0 to 100."""

    label: str
    state: State
    percent: float
    note: str


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One step as a sentence, with the candidate's share while it runs."""

    text: str
    weight: int


def ladder(plan: Plan, *, index: int, phase: Phase, elapsed: float) -> tuple[Stage, ...]:
    """The plan's stages while step `index` runs since `elapsed` seconds.

    Retiring the old version is no rung: it happens after the rollout is over.
    """
    return tuple(
        _stage(plan, first, last, index=index, phase=phase, elapsed=elapsed) for first, last in _spans(plan)
    )


def plan_lines(plan: Plan) -> tuple[PlanLine, ...]:
    """Every step of the plan in words, in order."""
    return tuple(
        PlanLine(_sentence(step.describe()), plan.weight_at(index)) for index, step in enumerate(plan.steps)
    )


def progress(stages: tuple[Stage, ...]) -> float:
    """How much of the ladder is climbed, 0 to 100; every rung counts the same."""
    return sum(stage.percent for stage in stages) / len(stages) if stages else 0.0


def _spans(plan: Plan) -> Iterator[tuple[int, int]]:
    """Half-open ranges of step indexes: a rung starts where the exposure of the candidate changes."""
    starts = [index for index, step in enumerate(plan.steps) if _opens(step)]
    end = next((i for i, step in enumerate(plan.steps) if isinstance(step, Retire)), len(plan.steps))
    yield from zip(starts, [*starts[1:], end], strict=True)


def _opens(step: Step) -> bool:
    return isinstance(step, Provision | SetWeight | Promote) or (
        isinstance(step, Mirror) and step.percent > 0
    )


def _stage(plan: Plan, first: int, last: int, *, index: int, phase: Phase, elapsed: float) -> Stage:
    label = _label(plan.steps[first])
    if phase is Phase.SUCCEEDED or index >= last:
        return Stage(label, "done", 100, "done")
    if index < first:
        return Stage(label, "todo", 0, _expected(plan.steps[first:last]))
    state: State = "stopped" if phase in _STOPPED else "held" if phase in _HELD else "current"
    return Stage(
        label, state, _percent(plan, first, last, index, elapsed), _note(plan.steps[index], phase, elapsed)
    )


def _label(step: Step) -> str:
    match step:
        case Provision():
            return "Start"
        case Mirror(percent):
            return f"Mirror {percent} %"
        case SetWeight(percent):
            return f"{percent} %"
        case _:
            return "100 %"


def _seconds(step: Step) -> float:
    return step.seconds if isinstance(step, Hold | Analyse) else 0.0


def _percent(plan: Plan, first: int, last: int, index: int, elapsed: float) -> float:
    total = sum(_seconds(step) for step in plan.steps[first:last])
    if not total:
        return 0.0
    spent = sum(_seconds(step) for step in plan.steps[first:index]) + min(
        elapsed, _seconds(plan.steps[index])
    )
    return round(100 * spent / total, 1)


def _expected(steps: tuple[Step, ...]) -> str:
    total = sum(_seconds(step) for step in steps)
    return duration(total) if total else ""


def _note(step: Step, phase: Phase, elapsed: float) -> str:
    """What the current rung is doing right now, with the time it still needs."""
    if phase in _STOPPED:
        return "stopped here"
    if phase is Phase.PAUSED:
        return "paused"
    if phase is Phase.QUEUED:
        return "waiting for its turn"
    left = max(0.0, _seconds(step) - elapsed)
    match step:
        case Hold():
            return f"holding, {duration(round(left))} left"
        case Analyse() if left > 0:
            return f"analysing, {duration(round(left))} left"
        case Analyse():
            return "analysing, needs more data"
        case Provision():
            return "starting servers"
        case Promote():
            return "moving all traffic"
        case _:
            return "moving traffic"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
