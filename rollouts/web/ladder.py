"""The steps of a plan as the page draws them: a few stages, each with how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.plan import (
    Analyse,
    Approve,
    Arm,
    Conclude,
    Experiment,
    Hold,
    Hook,
    Mirror,
    Plan,
    Preview,
    Promote,
    Provision,
    Retire,
    SetWeight,
    Step,
    duration,
)

State = Literal["done", "current", "held", "stopped", "todo"]
_HELD = frozenset({Phase.HOLDING, Phase.PAUSED, Phase.AWAITING_APPROVAL})
# Every rung is climbed.
_DONE = frozenset({Phase.SUCCEEDED, Phase.CONCLUDED})
_STOPPED = TERMINAL - _DONE | {Phase.ROLLING_BACK}


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
    """Half-open ranges of step indexes: a rung starts where the exposure of the candidate changes, where
    people are asked, and at the end."""
    starts = [index for index, step in enumerate(plan.steps) if _opens(step)]
    end = next((i for i, step in enumerate(plan.steps) if isinstance(step, Retire)), len(plan.steps))
    yield from zip(starts, [*starts[1:], end], strict=True)


def _opens(step: Step) -> bool:
    if isinstance(step, Hook):
        # Before an increase it belongs to the rung that is to be left.
        return step.before == "start"
    return isinstance(step, Approve | Provision | Preview | Arm | SetWeight | Promote | Conclude) or (
        isinstance(step, Mirror) and step.percent > 0
    )


def _stage(plan: Plan, first: int, last: int, *, index: int, phase: Phase, elapsed: float) -> Stage:
    label = _label(plan, first)
    if phase in _DONE or index >= last:
        return Stage(label, "done", 100, "done")
    if index < first:
        return Stage(label, "todo", 0, _expected(plan.steps[first:last]))
    step = plan.steps[index]
    percent = _percent(plan, first, last, index, elapsed)
    return Stage(label, _state(step, phase), percent, _note(step, phase, elapsed))


def _state(step: Step, phase: Phase) -> State:
    if phase in _STOPPED and not _concluding(step, phase):
        return "stopped"
    return "held" if phase in _HELD else "current"


def _concluding(step: Step, phase: Phase) -> bool:
    """Whether the traffic goes back because the plan ends so, and not because something went wrong."""
    return phase is Phase.ROLLING_BACK and isinstance(step, Conclude)


def _label(plan: Plan, first: int) -> str:
    match plan.steps[first]:
        case Approve():
            return "Approval"
        case Hook():
            return "Hook"
        case Preview():
            return "Testers"
        case Arm():
            return "Second arm"
        case Conclude():
            return "End"
        case Promote() if plan.weight_at(first - 1) == 100:
            return "Promotion"
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
    if _concluding(step, phase):
        return "giving the traffic back"
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
        case Experiment() if left > 0:
            return f"comparing, {duration(round(left))} left"
        case Analyse() if left > 0:
            return f"analysing, {duration(round(left))} left"
        case Analyse():
            return "analysing, needs more data"
        case Approve():
            return "waiting for people"
        case Hook(name):
            return f"asking the hook {name}"
        case Provision():
            return "starting servers"
        case Preview():
            return "opening to testers"
        case Arm():
            return "opening the second arm"
        case Conclude():
            return "ending"
        case Promote():
            return "moving all traffic"
        case _:
            return "moving traffic"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
