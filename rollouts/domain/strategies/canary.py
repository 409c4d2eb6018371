"""Canary: the candidate's share grows step by step, and every step must pass its gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitoring.domain.judge import DEFAULT_GATES
from rollouts.domain.fields import number, only_known
from rollouts.domain.plan import YEAR, Analyse, Hold, Mirror, Plan, Promote, Provision, SetWeight, Step
from rollouts.domain.strategies import common
from rollouts.errors import InvalidPlan

DEFAULT_STEPS = (5, 10, 25, 50)
PARAMETERS = common.SHARED | {"steps", "hold_seconds", "mirror_percent", "retire_after_seconds", "no_surge"}


def compile_canary(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """The canary plan for these parameters; `replicas` is the endpoint's own size and the default.

    Raises InvalidPlan with the path of the bad parameter.
    """
    only_known(parameters, PARAMETERS, common.PATH)
    analyse = Analyse(common.analyse_seconds(parameters))
    hold = Hold(number(parameters, "hold_seconds", common.PATH, default=60, least=0, most=YEAR))
    shares = (step for share in weights(parameters) for step in (SetWeight(share), hold, analyse))
    steps = (
        Provision(common.size(parameters, replicas)),
        *dark(common.percent(parameters, "mirror_percent", default=0), analyse),
        *shares,
        Promote(),
        common.retire(parameters),
    )
    return common.watched_plan(parameters, steps, DEFAULT_GATES)


def dark(percent: int, analyse: Analyse) -> tuple[Step, ...]:
    """The look before anybody is exposed: copies of real requests whose answers nobody sees."""
    return (Mirror(percent), analyse, Mirror(0)) if percent else ()


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
