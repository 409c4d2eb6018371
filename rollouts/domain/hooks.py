"""Hooks: services that are asked before a rollout goes on, or told that it went back or ended.

Asking is a step of the plan, so it is previewed, approved and walked like any other. What an answer means is
decided here, from recorded values only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rollouts.domain.fields import number, only_known, text
from rollouts.domain.plan import Plan
from rollouts.domain.steps import HOOK_NAME, REFUSALS, YEAR, Hook, Step, duration
from rollouts.errors import InvalidPlan

ASKED = ("start", "increase", "promotion")
TOLD = ("rollback", "end")
_KEYS = frozenset({"name", "on", "refusal", "seconds"})


@dataclass(frozen=True, slots=True)
class HookRequest:
    """Which hook is asked or told when; refusal and seconds as in the step `hook`."""

    name: str
    on: tuple[str, ...]
    refusal: str = "hold"
    seconds: float = 600

    def step(self, before: str) -> Hook:
        """The step that asks it."""
        return Hook(name=self.name, before=before, refusal=self.refusal, seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a call: allowed is None while the hook has not said yes or no.

    step and asked_at bind it to one stay in one step: an answer to an earlier question counts for nothing.
    """

    step: int
    asked_at: datetime
    allowed: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What follows from an answer: `go`, `wait`, `hold` for a person, or `roll_back`; and why."""

    what: str
    why: str = ""


def rule(step: Hook, index: int, began: datetime, answer: Answer | None, now: datetime) -> Ruling:
    """What the step `hook` at `index`, which began at `began`, does now.

    Only an explicit yes to this very question goes on. No answer until the deadline asks a person.
    """
    mine = answer if answer and (answer.step, answer.asked_at) == (index, began) else None
    said = f": {mine.reason}" if mine and mine.reason else ""
    if mine and mine.allowed is True:
        return Ruling("go", f"the hook {step.name} allows it{said}")
    if mine and mine.allowed is False:
        return Ruling(step.refusal, f"the hook {step.name} refuses{said}")
    if now - began >= timedelta(seconds=step.seconds):
        why = (
            f"the hook {step.name} gave no answer within {duration(step.seconds)}, a person must decide{said}"
        )
        return Ruling("hold", why)
    return Ruling("wait")


def parse_hooks(source: Any, path: str) -> tuple[HookRequest, ...]:
    """The field `hooks` of parameters or of a policy; InvalidPlan names the path of the bad field."""
    if source is None:
        return ()
    if not isinstance(source, Sequence) or isinstance(source, str):
        raise InvalidPlan("not a list of hooks.", field=path, hint='[{"name": "load-test", "on": ["start"]}]')
    return tuple(_request(item, f"{path}[{index}].") for index, item in enumerate(source))


def _request(item: Any, path: str) -> HookRequest:
    if not isinstance(item, Mapping):
        raise InvalidPlan("not an object.", field=path.removesuffix("."))
    only_known(item, _KEYS, path)
    on = item.get("on")
    known = ", ".join((*ASKED, *TOLD))
    if not isinstance(on, list | tuple) or not on:
        raise InvalidPlan("must list the moments.", field=f"{path}on", hint=f"Known: {known}.")
    for index, moment in enumerate(on):
        if moment not in (*ASKED, *TOLD):
            raise InvalidPlan(
                f"{moment!r} is not a moment.", field=f"{path}on[{index}]", hint=f"Known: {known}."
            )
    name = text(item, "name", path, default="", pattern=HOOK_NAME)
    if not name:
        raise InvalidPlan("a hook has a name.", field=f"{path}name")
    return HookRequest(
        name=name,
        on=tuple(dict.fromkeys(on)),
        refusal=text(item, "refusal", path, default="hold", pattern=REFUSALS),
        seconds=number(item, "seconds", path, default=600, least=1, most=YEAR),
    )


def with_hooks(plan: Plan, requests: Iterable[HookRequest]) -> Plan:
    """The plan with a step before each moment in which a hook is asked; it keeps which ones are told what."""
    requests = tuple(requests)
    steps: list[Step] = _asks(requests, "start")
    for index, step in enumerate(plan.steps):
        before = plan.weight_at(index - 1) if index else 0
        weight = plan.weight_at(index)
        if weight > before:
            steps += _asks(requests, "promotion" if weight == 100 else "increase")
        steps.append(step)
    told = [
        {"name": item.name, "on": [moment for moment in item.on if moment in TOLD]}
        for item in requests
        if set(item.on) & set(TOLD)
    ]
    return replace(plan, steps=tuple(steps), hooks=(*plan.hooks, *told))


def _asks(requests: Iterable[HookRequest], moment: str) -> list[Step]:
    return [item.step(moment) for item in requests if moment in item.on]


def hook_names(plan: Plan) -> tuple[str, ...]:
    """Every hook that the plan asks or tells."""
    asked = [step.name for step in plan.steps if isinstance(step, Hook)]
    return tuple(dict.fromkeys([*asked, *(str(told["name"]) for told in plan.hooks)]))


def told_of(plan_document: Mapping[str, Any], moment: str) -> list[str]:
    """The hooks that a plan as JSON has told of a moment."""
    return [item["name"] for item in plan_document.get("hooks", ()) if moment in item["on"]]
