"""A metric over its steps as a chart."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.curve import BOTTOM, LEFT, RIGHT, TOP, curve


def places(path):
    return [tuple(map(float, pair)) for pair in re.findall(r"([-\d.]+) ([-\d.]+)", path)]


def test_a_curve_fills_its_plot_from_the_first_step_to_the_last_and_from_the_lowest_value_to_the_highest():
    found = curve({("candidate", "v2"): [(0, 3.0), (10, 1.0), (20, 2.0)]})
    assert places(found.lines[0].path) == [
        (LEFT, TOP),
        ((LEFT + RIGHT) / 2, BOTTOM),
        (RIGHT, (TOP + BOTTOM) / 2),
    ]
    assert [tick.label for tick in found.steps] == ["0", "10", "20"]
    assert (
        found.lines[0].summary == "3 points, steps 0 to 20: lowest 1 at step 10, highest 3 at step 0, last 2"
    )


def test_two_curves_share_their_axes_and_one_without_points_is_left_out():
    found = curve({("candidate", "v2"): [(0, 0.0)], ("stable", "v1"): [(10, 1.0)], ("baseline", "v0"): []})
    assert [line.label for line in found.lines] == ["v2", "v1"]
    assert places(found.lines[0].path) == [(LEFT, BOTTOM)] and places(found.lines[1].path) == [(RIGHT, TOP)]
    assert curve({("candidate", "v2"): []}).lines == ()


def test_thinning_keeps_the_one_spike_among_ten_thousand_points():
    points = [(step, 1000.0 if step == 7_321 else math.sin(step)) for step in range(10_000)]
    drawn = places(curve({("candidate", "v1"): points}).lines[0].path)
    assert len(drawn) <= 1060 and min(y for _, y in drawn) == TOP


@pytest.mark.parametrize("value", [0.0, -3.5, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308])
def test_a_curve_that_never_moves_lies_inside_the_plot(value):
    ((_, y), _) = places(curve({("candidate", "v1"): [(0, value), (5, value)]}).lines[0].path)
    assert TOP <= y <= BOTTOM


numbers = st.floats(allow_nan=False, allow_infinity=False)
steps = st.integers(0, 2**63 - 1)


@given(st.lists(st.tuples(steps, numbers), min_size=1, max_size=50))
def test_whatever_was_measured_is_drawn_inside_the_plot(points):
    found = curve({("candidate", "v1"): sorted(points)})
    for x, y in places(found.lines[0].path):
        assert LEFT <= x <= RIGHT and TOP <= y <= BOTTOM
    assert all(TOP <= tick.position <= BOTTOM for tick in found.values)
