"""A/B: both versions serve for a while, what came of it is compared, and people decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitoring.domain.judge import DEFAULT_GATES, parse_gate
from rollouts.domain.fields import number, only_known, text, whole
from rollouts.domain.plan import (
    YEAR,
    Approve,
    Arm,
    Experiment,
    Plan,
    Promote,
    Provision,
    SetWeight,
    Step,
    sticky_key,
)
from rollouts.domain.steps import ARM_VALUE, KEY_NAME
from rollouts.domain.strategies import common
from rollouts.errors import InvalidPlan

DAY = 86_400.0
_OUTCOME = ("outcome", "better", "min_effect", "relative", "min_samples")
PARAMETERS = (common.SHARED - {"analyse_seconds"}) | {
    "percent", "key", "arm", "experiment_seconds", "approvals", "approve_seconds", "retire_after_seconds",
    *_OUTCOME,
}  # fmt: skip
# Errors and latency guard both arms; outputs are meant to differ, so their distribution does not.
GUARDS: tuple[Mapping[str, Any], ...] = tuple(
    gate for gate in DEFAULT_GATES if gate["kind"] != "distribution"
)


def compile_ab(parameters: Mapping[str, Any], *, replicas: int) -> Plan:
    """Provision, open the second arm, compare for a time, ask people, promote.

    The arm is a share of the users (`percent`, told apart by `key`), or the requests that a header or a
    cookie names (`arm`). Raises InvalidPlan with the path of the bad parameter.
    """
    only_known(parameters, PARAMETERS, common.PATH)
    seconds = number(parameters, "experiment_seconds", common.PATH, default=3 * DAY, least=1, most=YEAR)
    steps = (
        Provision(common.size(parameters, replicas)),
        _second_arm(parameters),
        Experiment(seconds),
        Approve(
            count=whole(parameters, "approvals", common.PATH, default=1, least=1, most=20),
            seconds=number(parameters, "approve_seconds", common.PATH, default=7 * DAY, least=1, most=YEAR),
        ),
        Promote(),
        common.retire(parameters),
    )
    guards = parameters.get("gates", GUARDS)
    gates = [*guards, _outcome(parameters)] if isinstance(guards, list | tuple) else guards
    return common.watched_plan(
        {**parameters, "gates": gates, "analyse_seconds": min(seconds, DAY)},
        steps,
        (),
        sticky=sticky_key(parameters, "key", common.PATH),
    )


def _second_arm(parameters: Mapping[str, Any]) -> Step:
    given = parameters.get("arm")
    if given is None:
        return SetWeight(whole(parameters, "percent", common.PATH, default=50, least=1, most=99))
    for clash in ("percent", "key"):
        if clash in parameters:
            raise InvalidPlan(
                "an arm that requests name has no share of its own.",
                field=f"{common.PATH}{clash}",
                hint="Give either `arm` or `percent` and `key`.",
            )
    path = f"{common.PATH}arm."
    by = [by for by in ("header", "cookie") if isinstance(given, Mapping) and by in given]
    if len(by) != 1:
        raise InvalidPlan(
            "names neither a header nor a cookie.",
            field=f"{common.PATH}arm",
            hint='Write {"header": "x-arm", "value": "b"} or {"cookie": "arm", "value": "b"}.',
        )
    only_known(given, frozenset({by[0], "value"}), path)
    name = text(given, by[0], path, default="", pattern=KEY_NAME)
    return Arm(by[0], name, text(given, "value", path, default="candidate", pattern=ARM_VALUE))


def _outcome(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The gate that compares what came of the predictions; `monitoring` reads its fields."""
    gate = {"kind": "outcome", **{key: parameters[key] for key in _OUTCOME if key in parameters}}
    # Here rather than among the gates, so that an error has the path of the parameter.
    parse_gate(gate, common.PATH.rstrip("."))
    return gate
