import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.histogram import Histogram, on_common_edges, total_of

edges_and_counts = st.lists(st.integers(-50, 50), min_size=1, max_size=8, unique=True).flatmap(
    lambda edges: st.tuples(
        st.just(sorted(edges)),
        st.lists(st.integers(0, 100), min_size=len(edges) + 1, max_size=len(edges) + 1),
    )
)


def test_buckets_of_prometheus_become_counts_per_bin():
    histogram = Histogram.from_cumulative({math.inf: 10, 0.1: 2, 1.0: 7})
    assert histogram is not None
    assert histogram.edges.tolist() == [0.1, 1.0]
    assert histogram.counts.tolist() == [2, 5, 3]


def test_a_cumulative_count_that_falls_by_a_hair_is_no_negative_bin():
    histogram = Histogram.from_cumulative({0.1: 5.0000001, 1.0: 5.0, math.inf: 6.0})
    assert histogram is not None
    assert (histogram.counts >= 0).all()


def test_without_the_infinite_bucket_there_is_no_histogram():
    assert Histogram.from_cumulative({0.1: 2, 1.0: 7}) is None
    assert Histogram.from_cumulative({}) is None


@pytest.mark.parametrize(
    ("edges", "counts"),
    [
        ([2, 1], [1, 1, 1]),
        ([1, 1], [1, 1, 1]),
        ([math.inf], [1, 1]),
        ([1], [1, -1]),
        ([1], [1, math.nan]),
        ([1], [1]),
    ],
)
def test_impossible_histograms_are_refused(edges, counts):
    with pytest.raises(ValueError):
        Histogram.of(edges, counts)


def test_quantiles_are_linear_inside_a_bin():
    histogram = Histogram.of([10, 20], [0, 4, 0])
    assert histogram.quantile(0.5) == 15
    assert histogram.quantile(0.25) == 12.5


def test_the_first_bin_starts_at_zero_and_the_last_answers_its_lower_edge():
    assert Histogram.of([10, 20], [4, 0, 0]).quantile(0.5) == 5
    assert Histogram.of([-10, 20], [4, 0, 0]).quantile(0.5) == -10
    assert Histogram.of([10, 20], [0, 0, 4]).quantile(0.5) == 20


def test_an_empty_histogram_has_no_quantile():
    assert math.isnan(Histogram.of([1], [0, 0]).quantile(0.5))


@given(edges_and_counts, edges_and_counts)
def test_adding_keeps_every_observation_and_commutes(left, right):
    a, b = Histogram.of(*left), Histogram.of(*right)
    assert (a + b).total == a.total + b.total
    assert (a + b).counts.tolist() == (b + a).counts.tolist()


@given(edges_and_counts, edges_and_counts)
def test_merged_bins_count_what_lies_below_each_common_edge(left, right):
    a, b = on_common_edges(Histogram.of(*left), Histogram.of(*right))
    assert a.edges.tolist() == b.edges.tolist() == sorted(set(left[0]) & set(right[0]))
    original = Histogram.of(*left)
    for edge, below in zip(a.edges, np.cumsum(a.counts), strict=False):
        assert below == original.counts[: int(np.searchsorted(original.edges, edge)) + 1].sum()


def test_the_total_of_replicas_uses_their_common_edges():
    total = total_of([Histogram.of([1, 2, 3], [1, 1, 1, 1]), Histogram.of([2, 4], [5, 0, 0])])
    assert total.edges.tolist() == [2]
    assert total.counts.tolist() == [7, 2]
