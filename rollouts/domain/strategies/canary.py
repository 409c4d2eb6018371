"""Canary: the candidate's share grows step by step, and every step must pass its gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitoring.domain.judge import DEFAULT_GATES, parse_gates
from rollouts.domain.fields import number, only_known, whole
from rollouts.domain.plan import (
    YEAR,
    Analyse,
    Hold,
    Mirror,
    Plan,
    Promote,
    Provision,
    Retire,
    SetWeight,
    Step,
    check,
)
from rollouts.errors import InvalidPlan

DEFAULT_STEPS = (5, 10, 25, 50)
PARAMETERS = frozenset(
    {
        "steps",
        "hold_seconds",
        "analyse_seconds",
        "interval_seconds",
        "deadline_seconds",
        "ready_within_seconds",
        "retire_after_seconds",
        "mirror_percent",
        "max_restarts",
        "replicas",
        "gates",
    }
)


def compile_canary(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """The canary plan for these parameters; `replicas` is the endpoint's own size and the default.

    Raises InvalidPlan with the path of the bad parameter.
    """
    path = "parameters."
    only_known(parameters, PARAMETERS, path)
    analyse = number(parameters, "analyse_seconds", path, default=300, least=1, most=YEAR)
    hold = number(parameters, "hold_seconds", path, default=60, least=0, most=YEAR)
    size = whole(parameters, "replicas", path, default=replicas, least=replicas, most=1000)
    retire = number(parameters, "retire_after_seconds", path, default=3600, least=0, most=YEAR)
    plan = Plan(
        steps=(
            Provision(size),
            *_dark(whole(parameters, "mirror_percent", path, default=0, least=0, most=100), analyse),
            *(
                step
                for percent in weights(parameters)
                for step in (SetWeight(percent), Hold(hold), Analyse(analyse))
            ),
            Promote(),
            Retire(retire),
        ),
        gates=_gates(parameters),
        interval=number(parameters, "interval_seconds", path, default=min(60, analyse), least=1, most=86_400),
        deadline=number(
            parameters, "deadline_seconds", path, default=max(3600, 4 * analyse), least=1, most=YEAR
        ),
        ready_within=number(parameters, "ready_within_seconds", path, default=600, least=1, most=86_400),
        max_restarts=whole(parameters, "max_restarts", path, default=3, least=0, most=1000),
    )
    check(plan, "steps")
    return plan


def _dark(percent: int, seconds: float) -> tuple[Step, ...]:
    """The look before anybody is exposed: copies of real requests whose answers nobody sees."""
    return (Mirror(percent), Analyse(seconds), Mirror(0)) if percent else ()


def weights(parameters: Mapping[str, Any]) -> tuple[int, ...]:
    """The candidate's shares in percent, rising, each 1 to 99."""
    given = parameters.get("steps", DEFAULT_STEPS)
    if not isinstance(given, list | tuple) or not given:
        raise InvalidPlan(f"{given!r} is not a list of percentages.", field="parameters.steps")
    shares: list[int] = []
    for index, share in enumerate(given):
        field = f"parameters.steps[{index}]"
        if isinstance(share, bool) or not isinstance(share, int):
            raise InvalidPlan(f"{share!r} is not a whole number of percent.", field=field)
        if not 1 <= share <= 99:
            raise InvalidPlan(
                f"{share} is outside 1 to 99.", field=field, hint="The promotion to 100 % follows by itself."
            )
        if shares and share <= shares[-1]:
            raise InvalidPlan(f"weights must rise: {share} follows {shares[-1]}.", field=field)
        shares.append(share)
    return tuple(shares)


def _gates(parameters: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    gates = parameters.get("gates", DEFAULT_GATES)
    parse_gates(gates, path="parameters.gates")
    return tuple(dict(gate) for gate in gates)
