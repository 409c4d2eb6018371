import numpy as np
import pytest

from monitoring.domain.charts import Population, bar_chart
from monitoring.domain.charts.bars import bin_names
from monitoring.domain.charts.chart import PLOT


def chart(bins, *counts):
    roles = ("baseline", "stable", "candidate")
    populations = [
        Population(role, role, np.array(values, dtype=float))
        for role, values in zip(roles, counts, strict=False)
    ]
    return bar_chart(id="d", title="y", x_label="y", bins=bins, populations=populations, caption="PSI 0.1.")


def test_bars_are_shares_of_each_population():
    made = chart([1.0], [1, 3], [30, 10])
    assert made.y_ticks[-1].label == "80"
    assert [80 * bar.height / PLOT.height for bar in made.bars] == pytest.approx([25, 75, 75, 25], abs=0.1)


def test_bars_of_one_bin_stand_side_by_side_inside_it():
    made = chart([1.0, 2.0], [1, 1, 1], [1, 1, 1], [1, 1, 1])
    edges = sorted((bar.x, bar.x + bar.width) for bar in made.bars)
    assert all(left[1] <= right[0] + 0.15 for left, right in zip(edges, edges[1:], strict=False))
    assert edges[0][0] >= PLOT.left
    assert edges[-1][1] <= PLOT.right


def test_bins_are_named_by_their_edges_or_classes():
    assert bin_names([1.0, 2.5]) == ["≤ 1", "1 to 2.5", "> 2.5"]
    assert bin_names(["no", "yes"]) == ["no", "yes"]


def test_edges_with_long_names_are_written_as_far_apart_as_they_are_wide():
    ticks = chart([0.00001234 * 1.7**step for step in range(19)], [1] * 20).x_ticks
    for left, right in zip(ticks, ticks[1:], strict=False):
        assert right.position - left.position >= 6 * (len(left.label) + len(right.label)) / 2


def test_edges_are_written_between_bins_and_classes_under_them():
    numeric, classes = chart([1.0, 2.0], [1, 1, 1]), chart(["a", "b"], [1, 1])
    third, half = PLOT.width / 3, PLOT.width / 2
    assert numeric.x_ticks[0].position == pytest.approx(PLOT.left + third, abs=0.1)
    assert classes.x_ticks[0].position == pytest.approx(PLOT.left + half / 2, abs=0.1)


def test_many_bins_have_few_labels_and_long_names_are_cut():
    assert len(chart([float(i) for i in range(40)], [1] * 41).x_ticks) <= 10
    assert chart(["an unreasonably long class"], [1]).x_ticks[0].label == "an unre…"


def test_hover_tells_bin_and_share():
    made = chart([1.0], [1, 3])
    assert made.hover["label"] == ["≤ 1", "> 1"]
    assert made.hover["series"][0]["text"] == ["25.0 %", "75.0 %"]


def test_an_empty_population_has_flat_bars():
    assert all(bar.height == 0 for bar in chart([1.0], [0, 0]).bars)
