"""Signature, comparison and bars: what pages read from the stored documents."""

import pytest

from registry.domain.bars import HEIGHT, WIDTH, bar_chart
from registry.domain.comparison import compare, higher_is_better
from registry.domain.signature import Signature, Tensor, differences


def signature(*shapes, output=("N", 1)):
    inputs = tuple(Tensor(f"X{i}", "float32", shape) for i, shape in enumerate(shapes))
    return Signature(inputs, (Tensor("y", "float32", output),))


def test_a_signature_survives_json():
    made = signature(("N", 3), (None,))
    assert Signature.from_dict(made.to_dict()) == made


def test_columns_are_named_by_features_or_by_tensors():
    made = signature(("N", 2), ("N", 1))
    assert made.column_names() == ["X0_0", "X0_1", "X1"]
    assert made.column_names(["a", "b", "c"]) == ["a", "b", "c"]
    assert made.column_names(["a"]) is None
    assert signature(("N", 3, 224, 224)).column_names() is None


def test_what_a_client_would_notice_is_listed():
    old, new = signature(("N", 3)), signature(("M", 4), output=(None, 1))
    assert differences(old, new) == ["input 'X0' was float32 [N, 3], is float32 [M, 4]"]
    assert differences(old, signature(("M", 3))) == []
    assert "input 'X1' is new" in differences(old, signature(("N", 3), ("N", 1)))


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("rmse", False),
        ("val/log_loss", False),
        ("test_roc_auc", True),
        ("f1", True),
        ("r2", True),
        ("trees", None),
    ],
)
def test_the_direction_of_a_metric_is_read_from_its_name(name, higher):
    assert higher_is_better(name) is higher


def test_better_and_worse_are_told_only_where_they_are_known():
    lines = {
        line.name: line
        for line in compare({"rmse": 1.0, "auc": 0.7, "trees": 9}, {"rmse": 2.0, "auc": 0.8, "n": 1})
    }
    assert (lines["rmse"].better, lines["auc"].better, lines["trees"].better) == (True, False, None)
    assert lines["rmse"].percent == -50
    assert lines["n"].own is None and lines["n"].difference is None


def test_equal_values_are_neither_better_nor_worse():
    (line,) = compare({"rmse": 1.0}, {"rmse": 1.0})
    assert line.better is None and line.difference == 0


def item(**changes):
    made = {"name": "x", "kind": "numeric", "min": 0.0, "max": 4.0}
    made |= {"edges": [n / 5 for n in range(1, 10)], "counts": [10] * 9 + [20]}
    return made | changes


def test_bars_show_density_over_the_value_axis():
    bars = bar_chart(item()).bars
    assert [round(bar.x, 1) for bar in bars] == [8.0 * n for n in range(10)]
    assert bars[0].height == HEIGHT and bars[9].height == pytest.approx(HEIGHT / 5.5, abs=0.01)
    assert bars[9].label == "1.8 to 4: 20" and bars[9].width == 88


def test_a_column_of_few_values_is_drawn_as_values_not_as_a_density():
    chart = bar_chart(item(edges=[0.0, 4.0], counts=[12, 8, 0]))
    assert [bar.label for bar in chart.bars] == ["up to 0: 12", "up to 4: 8"]
    assert chart.bars[1].height == pytest.approx(HEIGHT * 8 / 12)
    assert chart.summary == "20 values from 0 to 4, median about 0"


@pytest.mark.parametrize(
    "document",
    [
        item(),
        item(edges=[0.5], counts=[0, 7], min=1.0, max=1.0),
        item(edges=[-1.0, 0.0], counts=[0, 9, 0], min=0.0, max=0.0),
        item(edges=[0.0, 4.0], counts=[12, 8, 0]),
    ],
)
def test_every_bar_lies_inside_the_drawing(document):
    for bar in bar_chart(document).bars:
        assert bar.x >= 0 and bar.x + bar.width <= WIDTH + 0.02
        assert bar.y >= 0 and bar.y + bar.height == pytest.approx(HEIGHT, abs=0.02)


def test_categories_are_bars_with_their_counts():
    chart = bar_chart({"name": "l", "kind": "categorical", "categories": ["no", "yes"], "counts": [3, 6]})
    assert [bar.label for bar in chart.bars] == ["no: 3", "yes: 6"]
    assert chart.bars[1].height == HEIGHT == 2 * chart.bars[0].height
