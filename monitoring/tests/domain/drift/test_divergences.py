import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy, ks_2samp, norm, wasserstein_distance

from monitoring.domain.drift import divergences as d
from monitoring.domain.drift.psi import psi, smoothed
from monitoring.domain.histogram import Histogram

counts = arrays(np.float64, 10, elements=st.integers(0, 500)).filter(lambda array: array.sum() > 0)


@given(counts, counts)
def test_measures_over_bins_agree_with_scipy(left, right):
    assert d.kullback_leibler(left, right) == pytest.approx(
        entropy(smoothed(left), smoothed(right)), abs=1e-9
    )
    both = entropy(smoothed(left), smoothed(right)) + entropy(smoothed(right), smoothed(left))
    assert psi(left, right) == pytest.approx(both, abs=1e-9)
    assert d.jensen_shannon(left, right) == pytest.approx(jensenshannon(left, right, base=2), abs=1e-9)
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


@given(counts, counts)
def test_kolmogorov_smirnov_is_that_of_the_values_put_into_their_bins(left, right):
    values = [np.repeat(np.arange(10), side.astype(int)) for side in (left, right)]
    found = d.kolmogorov_smirnov(left, right)
    assert found.statistic == pytest.approx(ks_2samp(*values, method="asymp").statistic, abs=1e-9)


@given(counts, counts)
def test_wasserstein_is_the_area_between_the_distributions(left, right):
    edges = np.array([-3.0, -1.5, -1.0, -0.2, 0.0, 0.3, 0.9, 2.0, 2.5])
    bounds = np.array([-4.0, *edges, 4.0])
    cumulative = [np.concatenate(([0.0], np.cumsum(side / side.sum()))) for side in (left, right)]
    area = sum(
        quad(
            lambda x: abs(np.interp(x, bounds, cumulative[0]) - np.interp(x, bounds, cumulative[1])),
            low, high, points=_crossing(low, high, cumulative[0][i : i + 2] - cumulative[1][i : i + 2]),
        )[0]
        for i, (low, high) in enumerate(zip(bounds[:-1], bounds[1:], strict=True))
    )  # fmt: skip
    found = d.wasserstein(Histogram.of(edges, left), Histogram.of(edges, right), -4.0, 4.0)
    assert found == pytest.approx(area, abs=1e-9)


def _crossing(low, high, gap):
    """Where a line from gap[0] to gap[1] over [low, high] is 0, for the integrator."""
    return [low + (high - low) * gap[0] / (gap[0] - gap[1])] if gap[0] * gap[1] < 0 else None


@given(counts, counts)
def test_merging_bins_never_raises_psi_or_kl_of_given_shares(left, right):
    p, q = smoothed(left), smoothed(right)
    merged = [np.add.reduceat(side, [0, 3, 7]) for side in (p, q)]
    assert entropy(*merged) <= entropy(p, q) + 1e-12
    whole = ((p - q) * np.log(p / q)).sum()
    assert ((merged[0] - merged[1]) * np.log(merged[0] / merged[1])).sum() <= whole + 1e-12


@pytest.mark.parametrize("bins", [5, 10, 40])
def test_divergences_over_bins_are_lower_bounds_that_close_with_more_bins(bins):
    """Between N(0, 1) and N(0.5, 1) KL is 0.125 and PSI 0.25; expected counts of a million each."""
    edges = norm.ppf(np.arange(1, bins) / bins)
    shares = [np.diff(norm.cdf([-np.inf, *edges, np.inf], loc)) for loc in (0.5, 0.0)]
    left, right = 1e6 * shares[0], 1e6 * shares[1]
    kl, both = d.kullback_leibler(left, right), psi(left, right)
    lost = {5: 0.15, 10: 0.06, 40: 0.015}[bins]
    assert 0.125 * (1 - lost) <= kl <= 0.125 + 1e-4
    assert 0.25 * (1 - lost) <= both <= 0.25 + 1e-4


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
