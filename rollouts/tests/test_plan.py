from __future__ import annotations

import pytest

from rollouts.domain.plan import Plan, duration
from rollouts.errors import InvalidPlan
from rollouts.tests.cast import ANALYSE_5, ANALYSE_50, AT_5, HOLD_50, PROMOTE, PROVISION, plan


def written(*steps: dict) -> dict:
    return {"steps": [{"kind": "provision", "replicas": 1}, *steps]}


def test_a_plan_survives_json():
    original = plan(mirror_percent=20)
    assert Plan.from_dict(original.to_dict()) == original


def test_the_share_is_a_function_of_the_step():
    walked = plan()
    shares = [walked.weight_at(i) for i in (PROVISION, AT_5, ANALYSE_5, HOLD_50, ANALYSE_50, PROMOTE)]
    assert shares == [0, 5, 5, 50, 50, 100]


def test_mirroring_ends_before_the_first_user_is_exposed():
    walked = plan(mirror_percent=20)
    kinds = [step.kind for step in walked.steps[:5]]
    assert kinds == ["provision", "mirror", "analyse", "mirror", "set_weight"]
    assert [walked.mirror_at(i) for i in range(5)] == [0, 20, 20, 0, 0]


def test_the_least_duration_counts_holds_and_analyses():
    assert plan().least_seconds == 2 * (10 + 20)


PROMOTE_STEP = {"kind": "promote"}


@pytest.mark.parametrize(
    ("document", "field", "says"),
    [
        ({}, "plan.steps", "list of steps"),
        ({"steps": []}, "plan.steps", "list of steps"),
        ({"steps": ["promote"]}, "plan.steps[0].kind", "not a kind of step"),
        ({"steps": [PROMOTE_STEP]}, "plan.steps[0]", "must be `provision`"),
        (written(), "plan.steps", "exactly one `promote`"),
        (written(PROMOTE_STEP, PROMOTE_STEP), "plan.steps", "this one has 2"),
        (
            written({"kind": "set_weight", "percent": 101}, PROMOTE_STEP),
            "plan.steps[1].percent",
            "outside 1 to 100",
        ),
        (
            written({"kind": "set_weight", "percent": 0}, PROMOTE_STEP),
            "plan.steps[1].percent",
            "outside 1 to 100",
        ),
        (
            written({"kind": "set_weight", "percent": "5"}, PROMOTE_STEP),
            "plan.steps[1].percent",
            "not a number",
        ),
        (
            written({"kind": "set_weight", "percent": 2.5}, PROMOTE_STEP),
            "plan.steps[1].percent",
            "whole number",
        ),
        (
            written(
                {"kind": "set_weight", "percent": 50}, {"kind": "set_weight", "percent": 5}, PROMOTE_STEP
            ),
            "plan.steps[2].percent",
            "weights must rise: 5 follows 50",
        ),
        (
            {**written({"kind": "analyse", "seconds": 5}, PROMOTE_STEP), "gates": [{"kind": "error_rate"}]},
            "plan.steps[1]",
            "nothing to analyse",
        ),
        (written({"kind": "hold", "seconds": -1}, PROMOTE_STEP), "plan.steps[1].seconds", "outside 0"),
        (
            written({"kind": "hold", "seconds": float("nan")}, PROMOTE_STEP),
            "plan.steps[1].seconds",
            "not a number",
        ),
        (written({"kind": "hold", "minutes": 5}, PROMOTE_STEP), "plan.steps[1].minutes", "no such parameter"),
        (written({"kind": "teleport"}, PROMOTE_STEP), "plan.steps[1].kind", "not a kind of step"),
        (written(PROMOTE_STEP, {"kind": "hold", "seconds": 1}), "plan.steps[2]", "only `retire` may follow"),
        (written({"kind": "provision"}, PROMOTE_STEP), "plan.steps[1]", "provisioned once"),
        ({**written(PROMOTE_STEP), "intervall": 5}, "plan.intervall", "no such parameter"),
        ({**written(PROMOTE_STEP), "gates": 5}, "plan.gates", "not a list of gates"),
        ({**written(PROMOTE_STEP), "gates": ["errors"]}, "plan.gates", "not a list of gates"),
        (
            written({"kind": "set_weight", "percent": 5}, {"kind": "analyse", "seconds": 9}, PROMOTE_STEP),
            "plan.gates",
            "at least one gate",
        ),
        ({**written(PROMOTE_STEP), "interval": 0}, "plan.interval", "outside 1"),
    ],
)
def test_a_bad_plan_is_refused_with_the_path_of_the_field(document, field, says):
    with pytest.raises(InvalidPlan, match=says) as caught:
        Plan.from_dict(document)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (45, "45 s"), (90, "1.5 min"), (300, "5 min"), (5400, "1.5 h"), (172800, "2 d")],
)
def test_durations_read_as_people_write_them(seconds, text):
    assert duration(seconds) == text
