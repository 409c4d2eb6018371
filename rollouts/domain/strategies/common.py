"""Parameters that strategies share, read in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.domain.judge import parse_gates
from rollouts.domain.fields import number, switch, whole
from rollouts.domain.plan import YEAR, Plan, Retire, Step, check
from rollouts.errors import InvalidPlan

PATH = "parameters."
# Every strategy that starts servers and watches them takes these.
SHARED = frozenset(
    {
        "analyse_seconds",
        "interval_seconds",
        "deadline_seconds",
        "ready_within_seconds",
        "max_restarts",
        "replicas",
        "gates",
    }
)


def analyse_seconds(parameters: Mapping[str, Any]) -> float:
    """The least time under analysis."""
    return number(parameters, "analyse_seconds", PATH, default=300, least=1, most=YEAR)


def size(parameters: Mapping[str, Any], replicas: int) -> int:
    """The candidate's servers: the endpoint's own number, or more; without a surge fewer, by default half."""
    if switch(parameters, "no_surge", PATH):
        if replicas < 2:
            raise InvalidPlan(
                "with one server there is none whose place the candidate's could take.",
                field=f"{PATH}no_surge",
                hint="Free what a second server needs, or give the endpoint two.",
            )
        return whole(parameters, "replicas", PATH, default=replicas // 2, least=1, most=replicas - 1)
    return whole(parameters, "replicas", PATH, default=replicas, least=replicas, most=1000)


def percent(parameters: Mapping[str, Any], key: str, *, default: int, least: int = 0) -> int:
    """A share in percent."""
    return whole(parameters, key, PATH, default=default, least=least, most=100)


def retire(parameters: Mapping[str, Any]) -> Retire:
    """How long the previous version stays warm."""
    return Retire(number(parameters, "retire_after_seconds", PATH, default=3600, least=0, most=YEAR))


def watched_plan(
    parameters: Mapping[str, Any],
    steps: Sequence[Step],
    default_gates: Sequence[Mapping[str, Any]],
    *,
    sticky: Mapping[str, str] | None = None,
) -> Plan:
    """The steps as a checked plan with the gates and the times that the parameters give."""
    seconds = analyse_seconds(parameters)
    gates = parameters.get("gates", default_gates)
    parse_gates(gates, path=f"{PATH}gates")
    plan = Plan(
        steps=tuple(steps),
        gates=tuple(dict(gate) for gate in gates),
        interval=number(parameters, "interval_seconds", PATH, default=min(60, seconds), least=1, most=86_400),
        deadline=number(
            parameters, "deadline_seconds", PATH, default=max(3600, 4 * seconds), least=1, most=YEAR
        ),
        ready_within=number(parameters, "ready_within_seconds", PATH, default=600, least=1, most=86_400),
        max_restarts=whole(parameters, "max_restarts", PATH, default=3, least=0, most=1000),
        sticky=sticky,
        no_surge=switch(parameters, "no_surge", PATH),
    )
    check(plan, "steps")
    return plan
