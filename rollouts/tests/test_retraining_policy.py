"""The policy of the closed loop, as a value."""

import pytest

from rollouts.domain.retraining import QualityFloor, RetrainingPolicy, WantedMetric, compare, degraded
from rollouts.errors import InvalidPlan

DOCUMENT = {
    "enabled": True,
    "hook": "airflow",
    "drift": True,
    "quality": {"label": "label", "metric": "accuracy", "limit": 0.85, "better": "higher", "min_labels": 100},
    "readings": 2,
    "metrics": [{"name": "auc", "better": "higher", "limit": 0.8}, {"name": "rmse", "better": "lower", "limit": None}],
    "strategy": "canary",
    "parameters": {},
    "cooldown_hours": 24.0,
    "daily_cap": 1,
}  # fmt: skip


def test_a_policy_survives_json():
    assert RetrainingPolicy.parse(DOCUMENT).to_dict() == DOCUMENT


def test_it_is_off_until_somebody_switches_it_on():
    assert RetrainingPolicy.parse({}).enabled is False


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hook": ""}, "hook"),
        ({"hook": "No Hook"}, "hook"),
        ({"metrics": []}, "metrics"),
        ({"metrics": "auc"}, "metrics"),
        ({"metrics": ["auc"]}, "metrics[0]"),
        ({"metrics": [{"better": "higher"}]}, "metrics[0].name"),
        ({"metrics": [{"name": "auc", "better": "more"}]}, "metrics[0].better"),
        ({"metrics": [{"name": "auc", "limit": "high"}]}, "metrics[0].limit"),
        ({"quality": 1}, "quality"),
        ({"quality": {"metric": "auc"}}, "quality.limit"),
        ({"drift": False, "quality": None}, "drift"),
        ({"readings": 0}, "readings"),
        ({"daily_cap": 0}, "daily_cap"),
        ({"cooldown_hours": 0}, "cooldown_hours"),
        ({"parameters": 1}, "parameters"),
        ({"cool_down": 1}, "cool_down"),
    ],
)
def test_a_bad_policy_is_refused_with_the_field(changes, field):
    with pytest.raises(InvalidPlan) as caught:
        RetrainingPolicy.parse({**DOCUMENT, **changes})
    assert caught.value.field == field


WANTED = (WantedMetric("auc", "higher", 0.8), WantedMetric("rmse", "lower"))


@pytest.mark.parametrize(
    ("challenger", "better", "why"),
    [
        ({"auc": 0.9, "rmse": 1.0}, True, "auc 0.9 against 0.85; rmse 1 against 2"),
        ({"auc": 0.85, "rmse": 1.0}, False, "auc 0.85 does not beat the champion's 0.85"),
        ({"auc": 0.9, "rmse": 3.0}, False, "rmse 3 does not beat the champion's 2"),
        ({"auc": 0.79, "rmse": 1.0}, False, "auc 0.79 does not reach 0.8"),
        ({"auc": 0.9}, False, "rmse of the new version is not known"),
    ],
)
def test_a_version_must_win_on_every_metric_that_the_policy_names(challenger, better, why):
    assert compare(WANTED, challenger, {"auc": 0.85, "rmse": 2.0}) == (better, why)


def test_a_champion_without_the_metric_is_not_beaten():
    assert compare(WANTED, {"auc": 0.9, "rmse": 1}, {"auc": 0.8}) == (
        False,
        "rmse of the champion is not known",
    )
    assert compare((), {"auc": 1.0}, {"auc": 0.0})[0] is False


@pytest.mark.parametrize(
    ("figures", "found"),
    [
        ([(200, 0.8), (200, 0.8)], True),
        ([(200, 0.9), (200, 0.8)], False),
        ([(200, 0.8)], False),
        ([(200, 0.8), (50, 0.8)], False),
        ([(200, 0.8), (50, 0.99), (200, 0.8)], True),
    ],
)
def test_quality_must_be_low_several_times_in_a_row_with_enough_labels(figures, found):
    floor = QualityFloor("label", "accuracy", 0.85, "higher", 100)
    assert degraded(floor, figures, 2) is found


def test_an_error_is_worse_when_it_is_higher():
    floor = QualityFloor("label", "rmse", 2.0, "lower", 10)
    assert degraded(floor, [(20, 3.0)], 1)
    assert not degraded(floor, [(20, 1.0)], 1)
