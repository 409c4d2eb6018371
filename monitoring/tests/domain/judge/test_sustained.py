"""Gates on figures without a distribution: saturation and custom queries."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from monitoring.domain.judge import CustomGate, SaturationGate, Verdict, custom, parse_gates, saturation
from monitoring.domain.window import Window
from registry.errors import Invalid

QUEUE = SaturationGate(max=10, for_seconds=30, step_seconds=10)
NAN = float("nan")


def saturated(**replicas: list[float]):
    return saturation.judge(QUEUE, {name: np.array(values) for name, values in replicas.items()})


def test_a_queue_that_was_too_long_all_the_time_fails():
    found = saturated(a=[12, 40, 15])
    assert found.verdict is Verdict.FAIL
    assert found.reason == (
        "model_queue_depth 15 at a (limit: at most 10); beyond it in all 3 readings of the last 30 s"
    )


def test_one_reading_within_the_limit_ends_the_breach():
    assert saturated(a=[12, 4, 15]).verdict is Verdict.INCONCLUSIVE
    assert saturated(a=[12, 40, 10]).verdict is Verdict.PASS


def test_the_fullest_replica_decides():
    found = saturated(a=[1, 1, 1], b=[12, 12, 12])
    assert (found.verdict, found.value) == (Verdict.FAIL, 12)


@pytest.mark.parametrize("values", [[NAN, 50, 50], [50, 50, NAN], [NAN] * 3])
def test_what_is_not_known_is_no_data(values):
    assert saturated(a=values).verdict is Verdict.NO_DATA


def test_a_metric_that_nobody_exposes_is_no_data():
    assert saturated().verdict is Verdict.NO_DATA


def test_a_window_younger_than_the_breach_must_last_is_not_read():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert QUEUE.lasting.within(Window.last(29, now)) is None
    assert QUEUE.lasting.within(Window.last(300, now)) == Window.last(30, now)


@pytest.mark.parametrize(
    ("compare", "limits", "verdict"),
    [("ratio", {"max": 1.5}, "fail"), ("ratio", {"max": 2.5}, "pass"), ("difference", {"min": 5}, "fail"),
     ("difference", {"min": 1, "max": 3}, "pass")],
)  # fmt: skip
def test_two_queries_are_compared_as_the_gate_says(compare, limits, verdict):
    gate = CustomGate("a", reference="b", compare=compare, for_seconds=30, step_seconds=10, **limits)
    assert custom.judge(gate, np.full(3, 4.0), np.full(3, 2.0)).verdict == verdict


def test_a_ratio_to_nothing_is_no_data():
    gate = CustomGate("a", reference="b", max=1)
    assert custom.judge(gate, np.ones(4), np.zeros(4)).verdict is Verdict.NO_DATA


def test_placeholders_are_filled_in_and_cannot_leave_their_string():
    text = custom.filled('x{v="$candidate"}[$window]', {"candidate": 'a"} or b{c="', "window": "60s"})
    assert text == 'x{v="a\\"} or b{c=\\""}[60s]'


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        ({"kind": "saturation"}, "max"),
        ({"kind": "saturation", "max": 1, "metric": "a b"}, "metric"),
        ({"kind": "saturation", "max": 1, "for_seconds": 5}, "for_seconds"),
        ({"kind": "custom", "max": 1}, "query"),
        ({"kind": "custom", "query": "up"}, "max"),
        ({"kind": "custom", "query": 'up{a="$version"}', "max": 1}, "query"),
        ({"kind": "custom", "query": "up $", "max": 1}, "query"),
        ({"kind": "custom", "query": "up", "reference": 3, "max": 1}, "reference"),
        ({"kind": "input_drift", "features": "age"}, "features"),
        ({"kind": "input_drift", "statistic": "js"}, "statistic"),
    ],
)
def test_what_is_wrong_in_a_gate_is_named(gate, field):
    with pytest.raises(Invalid) as caught:
        parse_gates([gate])
    assert caught.value.field == f"gates[0].{field}"


@pytest.mark.parametrize(
    "gate",
    [
        {"kind": "saturation", "max": 5},
        {"kind": "custom", "query": "up", "reference": "down", "compare": "difference", "min": 0},
        {"kind": "input_drift", "features": ["age"], "statistic": "ks"},
        {"kind": "distribution", "statistic": "js"},
    ],
)
def test_gates_survive_json(gate):
    (found,) = parse_gates([gate])
    assert parse_gates([found.to_dict()]) == (found,)
