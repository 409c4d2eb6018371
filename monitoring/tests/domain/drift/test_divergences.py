import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy, ks_2samp, wasserstein_distance

from monitoring.domain.drift import divergences as d
from monitoring.domain.drift.psi import psi, smoothed
from monitoring.domain.histogram import Histogram

counts = arrays(np.float64, 10, elements=st.integers(0, 500)).filter(lambda array: array.sum() > 0)


@given(counts, counts)
def test_measures_over_bins_agree_with_scipy(left, right):
    assert d.kullback_leibler(left, right) == pytest.approx(
        entropy(smoothed(left), smoothed(right)), abs=1e-9
    )
    assert d.jensen_shannon(left, right) == pytest.approx(jensenshannon(left, right, base=2), abs=1e-7)
    used = (left + right) > 0
    assume(used.sum() > 1)
    expected = chi2_contingency([left[used], right[used]], correction=False)
    found = d.chi_square(left, right)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)


@given(counts, counts)
def test_measures_are_zero_for_the_same_shares_and_never_negative(left, right):
    for measure in (psi, d.kullback_leibler, d.jensen_shannon):
        assert measure(left, right) >= 0
        assert measure(left, left) == pytest.approx(0, abs=1e-9)
    assert d.chi_square(left, left).statistic == pytest.approx(0, abs=1e-9)
    assert d.kolmogorov_smirnov(left, left).statistic == 0


@given(counts, counts)
def test_symmetric_measures_are_symmetric(left, right):
    for measure in (psi, d.jensen_shannon, lambda a, b: d.chi_square(a, b).statistic):
        assert measure(left, right) == pytest.approx(measure(right, left), abs=1e-9)


@given(counts, counts)
def test_merging_bins_never_brings_populations_farther_apart(left, right):
    merged = [np.add.reduceat(side, [0, 3, 7]) for side in (left, right)]
    assert d.jensen_shannon(*merged) <= d.jensen_shannon(left, right) + 1e-9
    assert d.kolmogorov_smirnov(*merged).statistic <= d.kolmogorov_smirnov(left, right).statistic + 1e-12
    assert d.chi_square(*merged).statistic <= d.chi_square(left, right).statistic + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_binned_values_are_within_the_stated_bounds_of_the_values_themselves(seed):
    rng = np.random.default_rng(seed)
    left, right = rng.normal(0, 1, 800), rng.normal(0.4, 1.3, 1200)
    low, high = min(left.min(), right.min()), max(left.max(), right.max())
    edges = np.quantile(np.concatenate([left, right]), np.linspace(0.05, 0.95, 19))
    bins = [np.histogram(side, [-np.inf, *edges, np.inf])[0].astype(float) for side in (left, right)]
    raw = ks_2samp(left, right).statistic
    found = d.kolmogorov_smirnov(*bins)
    # At most the heavier share of one bin is hidden between two edges.
    widest = max(np.max(side / side.sum()) for side in bins)
    assert raw - widest <= found.statistic <= raw + 1e-12
    moved = d.wasserstein(Histogram.of(edges, bins[0]), Histogram.of(edges, bins[1]), low, high)
    width = np.diff([low, *edges, high]).max()
    assert moved == pytest.approx(wasserstein_distance(left, right), abs=width)


def test_wasserstein_is_exact_for_values_spread_evenly():
    left, right = Histogram.of([1.0, 2.0], [10, 0, 0]), Histogram.of([1.0, 2.0], [0, 0, 10])
    assert d.wasserstein(left, right, 0.0, 3.0) == pytest.approx(2.0)
    both = Histogram.of([1.0, 2.0], [5, 0, 5])
    assert d.wasserstein(both, Histogram.of([1.0, 2.0], [0, 10, 0]), 0.0, 3.0) == pytest.approx(0.75)


def test_the_ks_p_value_is_small_only_for_a_real_shift():
    rng = np.random.default_rng(3)
    same = [rng.multinomial(2000, [0.1] * 10).astype(float) for _ in range(2)]
    moved = rng.multinomial(2000, [0.02, 0.18, *[0.1] * 8]).astype(float)
    assert d.kolmogorov_smirnov(*same).p_value > 0.01
    assert d.kolmogorov_smirnov(same[0], moved).p_value < 1e-5
