from __future__ import annotations

import pytest

from rollouts.domain.plan import Promote, Provision, Retire
from rollouts.domain.strategies import compile_plan
from rollouts.errors import DomainError, InvalidPlan


def test_the_default_canary_walks_5_10_25_50_and_promotes():
    plan = compile_plan("canary", {}, replicas=2)
    assert [step.percent for step in plan.steps if step.kind == "set_weight"] == [5, 10, 25, 50]
    assert plan.steps[0] == Provision(2)
    assert isinstance(plan.steps[-2], Promote)
    assert isinstance(plan.steps[-1], Retire)
    assert plan.gates


def test_every_share_of_a_canary_is_held_and_analysed():
    kinds = [step.kind for step in compile_plan("canary", {"steps": [1, 99]}, replicas=1).steps]
    assert kinds == ["provision", *["set_weight", "hold", "analyse"] * 2, "promote", "retire"]


def test_an_instant_rollout_moves_everything_in_one_write():
    assert [step.kind for step in compile_plan("instant", {}, replicas=1).steps] == [
        "provision",
        "promote",
        "retire",
    ]


@pytest.mark.parametrize(
    ("parameters", "field", "says"),
    [
        ({"steps": [5, 120]}, "parameters.steps[1]", "120 is outside 1 to 99"),
        ({"steps": [50, 10]}, "parameters.steps[1]", "weights must rise"),
        ({"steps": [10, 10]}, "parameters.steps[1]", "weights must rise"),
        ({"steps": []}, "parameters.steps", "not a list"),
        ({"steps": "5,10"}, "parameters.steps", "not a list"),
        ({"steps": [True]}, "parameters.steps[0]", "whole number"),
        ({"steps": [5.5]}, "parameters.steps[0]", "whole number"),
        ({"hold": 3}, "parameters.hold", "no such parameter"),
        ({"hold_seconds": -3}, "parameters.hold_seconds", "outside 0"),
        ({"analyse_seconds": "long"}, "parameters.analyse_seconds", "not a number"),
        ({"analyse_seconds": float("inf")}, "parameters.analyse_seconds", "not a number"),
        ({"replicas": 1}, "parameters.replicas", "outside 3"),
        ({"mirror_percent": 101}, "parameters.mirror_percent", "outside 0 to 100"),
    ],
)
def test_bad_parameters_are_refused_with_their_path(parameters, field, says):
    with pytest.raises(InvalidPlan, match=says) as caught:
        compile_plan("canary", parameters, replicas=3)
    assert caught.value.field == field


def test_a_bad_gate_is_refused_with_its_path():
    with pytest.raises(DomainError) as caught:
        compile_plan("canary", {"gates": [{"kind": "vibes"}]}, replicas=1)
    assert str(caught.value.field).startswith("parameters.gates[0]")


def test_an_unknown_strategy_names_the_known_ones():
    with pytest.raises(InvalidPlan, match="canary"):
        compile_plan("yolo", {}, replicas=1)
