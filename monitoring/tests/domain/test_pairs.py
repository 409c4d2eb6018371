import numpy as np
import pytest
from scipy.stats import spearmanr

from monitoring.domain.pairs import Pair, Tolerance, by_segment, compare

EXACT = Tolerance()


def pair(stable, candidate, request_id="r", at=0.0, **segment):
    return Pair(request_id, at, stable, candidate, segment)


def test_numbers_agree_within_the_tolerance_and_classes_when_equal():
    pairs = [pair([1.0], [1.05]), pair(["cat"], ["cat"]), pair(["cat"], ["dog"]), pair([1.0], [1.2])]
    assert compare(pairs, Tolerance(absolute=0.1)).agreed == 2
    assert compare(pairs, Tolerance(relative=0.06)).agreed == 2
    assert compare(pairs, EXACT).agreed == 1


def test_every_row_of_a_request_must_agree():
    assert compare([pair([1.0, 2.0], [1.0, 2.5])], EXACT).agreed == 0
    assert compare([pair([1.0, 2.0], [1.0])], EXACT).agreed == 0
    assert compare([pair([None], [None])], EXACT).agreed == 1
    assert compare([pair([None], [0.0])], EXACT).agreed == 0


def test_the_figures_are_those_of_numpy_and_scipy():
    rng = np.random.default_rng(0)
    left = rng.normal(size=500).round(1)
    right = left + rng.normal(scale=0.2, size=500)
    found = compare([pair([a], [b]) for a, b in zip(left.tolist(), right.tolist(), strict=True)], EXACT)
    assert found.difference.mean == pytest.approx(np.abs(left - right).mean(), abs=1e-12)
    assert found.largest == pytest.approx(np.abs(left - right).max(), abs=1e-12)
    assert found.correlation == pytest.approx(spearmanr(left, right).statistic, abs=1e-12)


def test_the_worst_disagreements_come_first():
    pairs = [
        pair([0.0], [difference], f"r{index}") for index, difference in enumerate([0.1, 0.9, 0.0, 0.5])
    ] + [pair(["a"], ["b"], "class")]
    found = compare(pairs, EXACT, worst=3)
    assert [item.request_id for item in found.worst] == ["class", "r1", "r3"]
    assert [item.difference for item in found.worst] == [None, 0.9, 0.5]


def test_what_cannot_be_said_is_none():
    empty = compare([], EXACT)
    assert (empty.pairs, empty.correlation, empty.largest, empty.difference.n) == (0, None, None, 0)
    assert compare([pair([1.0], [1.0])] * 10, EXACT).correlation is None
    facts = empty.to_dict()
    assert facts["agreement"] is None
    assert facts["mean_absolute_difference"] is None


def test_segments_are_compared_one_by_one_the_largest_first():
    pairs = [pair([1.0], [1.0], country="no", plan="a")] * 3 + [pair([1.0], [2.0], country="se")] * 2
    found = by_segment(pairs, EXACT)
    assert [(name, item.pairs, item.rate) for name, item in found.items()] == [
        ("country=no", 3, 1.0), ("plan=a", 3, 1.0), ("country=se", 2, 0.0),
    ]  # fmt: skip
