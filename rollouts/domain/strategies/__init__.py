"""Strategies by name. Each is one pure function from parameters to a plan; the machine knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rollouts.domain.hooks import parse_hooks, with_hooks
from rollouts.domain.plan import Plan
from rollouts.domain.strategies.ab import compile_ab
from rollouts.domain.strategies.blue_green import compile_blue_green
from rollouts.domain.strategies.canary import compile_canary
from rollouts.domain.strategies.custom import compile_custom
from rollouts.domain.strategies.instant import compile_instant
from rollouts.domain.strategies.shadow import compile_shadow
from rollouts.errors import InvalidPlan

STRATEGIES: dict[str, Callable[..., Plan]] = {
    "canary": compile_canary,
    "blue_green": compile_blue_green,
    "shadow": compile_shadow,
    "ab": compile_ab,
    "custom": compile_custom,
    "instant": compile_instant,
}
# What a user may start; `instant` is how a rollback after success is carried out.
STARTABLE = ("canary", "blue_green", "shadow", "ab", "custom")


def compile_plan(strategy: str, parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """The plan of a strategy; InvalidPlan when the name or a parameter is wrong."""
    if strategy not in STRATEGIES:
        raise _unknown(strategy)
    rest = {name: value for name, value in parameters.items() if name != "hooks"}
    plan = STRATEGIES[strategy](rest, replicas=replicas)
    return with_hooks(plan, parse_hooks(parameters.get("hooks"), "parameters.hooks"))


def check_startable(strategy: str) -> None:
    """InvalidPlan for what no user may start."""
    if strategy not in STARTABLE:
        raise _unknown(strategy)


def _unknown(strategy: str) -> InvalidPlan:
    return InvalidPlan(
        f"{strategy!r} is not a strategy.", field="strategy", hint=f"Known: {', '.join(STARTABLE)}."
    )
