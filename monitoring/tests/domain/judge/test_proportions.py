import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from monitoring.domain.judge import proportions as p

counts = st.tuples(st.integers(0, 400), st.integers(1, 400)).map(lambda pair: (min(pair), max(pair)))


@given(counts, counts)
def test_the_exact_test_agrees_with_scipy(candidate, stable):
    (bad, total), (other, size) = candidate, stable
    table = [[bad, total - bad], [other, size - other]]
    assert p.fisher_greater(bad, total, other, size) == pytest.approx(
        fisher_exact(table, alternative="greater").pvalue, rel=1e-6, abs=1e-300
    )


def test_a_cut_off_tail_never_errs_towards_significance():
    # 2,000 to 2,600 events on each side: far more terms than are summed.
    table = [[2600, 10_000 - 2600], [2400, 10_000 - 2400]]
    exact = fisher_exact(table, alternative="greater").pvalue
    assert exact * (1 - 1e-9) <= p.fisher_greater(2600, 10_000, 2400, 10_000) <= exact * 1.01
    assert p.fisher_greater(2400, 10_000, 2600, 10_000) == pytest.approx(1, abs=0.01)


@given(counts, st.sampled_from([0.05, 0.01, 1e-4]))
def test_clopper_pearson_bounds_are_where_the_tail_is_alpha(pair, alpha):
    bad, total = pair
    lower, upper = (
        p.clopper_pearson_lower(bad, total, alpha),
        p.clopper_pearson_upper(bad, total, alpha),
    )
    assert 0 <= lower <= bad / total <= upper <= 1
    if bad:
        assert binom.sf(bad - 1, total, lower) == pytest.approx(alpha, rel=1e-6)
    if bad < total:
        assert binom.cdf(bad, total, upper) == pytest.approx(alpha, rel=1e-6)


def test_bounds_of_a_difference_cover_it_as_often_as_they_say():
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(4000):
        bad, other = int(rng.binomial(150, 0.06)), int(rng.binomial(900, 0.02))
        lower, _ = p.difference_bounds(bad, 150, other, 900, 0.05)
        missed += lower > 0.04
    assert missed / 4000 <= 0.05
