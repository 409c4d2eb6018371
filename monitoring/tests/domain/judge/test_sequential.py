import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from monitoring.domain.judge import sequential as s

counts = st.tuples(st.integers(0, 300), st.integers(1, 300)).map(lambda pair: (min(pair), max(pair)))


@pytest.mark.parametrize(("bad", "total", "rate"), [(3, 3, 0.05), (7, 20, 0.2), (1, 30, 0.1), (40, 100, 0.5)])
def test_evidence_is_the_averaged_likelihood_ratio(bad, total, rate):
    prior = beta(20 * rate, 20 * (1 - rate))

    def ratio(p):
        weight = 0.8 * prior.pdf(p) / prior.sf(rate) + 0.2 / (1 - rate)
        return (p / rate) ** bad * ((1 - p) / (1 - rate)) ** (total - bad) * weight

    assert s.log_evidence(bad, total, rate) == pytest.approx(
        math.log(quad(ratio, rate, 1, limit=200)[0]), abs=1e-6
    )


@given(st.integers(1, 40), st.floats(0.02, 0.98))
def test_evidence_is_worth_one_on_average_when_there_is_nothing_to_find(total, rate):
    expected = sum(
        math.comb(total, bad)
        * rate**bad
        * (1 - rate) ** (total - bad)
        * math.exp(s.log_evidence(bad, total, rate))
        for bad in range(total + 1)
    )
    # A supermartingale that starts at 1; equal up to rounding because nothing is lost on the way.
    assert expected == pytest.approx(1, rel=1e-6)


def test_looking_after_every_request_raises_no_more_false_alarms_than_alpha():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        bad = np.cumsum(rng.random(600) < 0.2)
        alarms += any(s.surely_above(int(bad[n - 1]), n, 0.2, 0.05) for n in range(1, 601))
    assert alarms / 400 <= 0.05


@given(counts, st.sampled_from([0.05, 1e-4]))
def test_bounds_of_a_rate_contain_it_and_solve_their_equation(pair, alpha):
    bad, total = pair
    lower, upper = s.rate_lower(bad, total, alpha), s.rate_upper(bad, total, alpha)
    assert 0 <= lower <= bad / total <= upper <= 1
    if bad:
        from scipy.special import betaln

        level = math.log(alpha) + betaln(bad + 0.5, total - bad + 0.5) - math.log(math.pi)
        assert bad * math.log(lower) + (total - bad) * math.log1p(-lower) == pytest.approx(level, rel=1e-6)


def test_bounds_hold_at_all_looks_together():
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(400):
        bad = np.cumsum(rng.random(500) < 0.1)
        missed += any(
            not s.rate_lower(int(bad[n - 1]), n, 0.05) <= 0.1 <= s.rate_upper(int(bad[n - 1]), n, 0.05)
            for n in range(1, 501, 3)
        )
    assert missed / 400 <= 0.05


@given(counts, counts)
def test_bounds_of_a_difference_contain_it(left, right):
    lower, upper = s.difference_bounds(*left, *right, 0.01)
    assert -1 <= lower <= left[0] / left[1] - right[0] / right[1] <= upper <= 1


def test_the_least_share_is_where_the_evidence_ends():
    least = s.share_lower(30, 60, 0.2, 0.01)
    assert 0.2 < least < 0.5
    assert math.exp(s.log_evidence(30, 60, least)) == pytest.approx(100, rel=1e-3)
    assert s.share_lower(10, 60, 0.2, 0.01) == 0.2
    assert s.share_lower(0, 0, 0.2, 0.01) == 0.2


@given(st.integers(1, 2000), st.sampled_from([0.05, 0.5, 0.95, 0.99]))
def test_the_proving_rank_is_the_last_that_proves(n, quantile):
    rank = s.rank_below(n, quantile, 0.01)

    def proves(count):
        a, b = s.RANKS_CONCENTRATION * (1 - quantile), s.RANKS_CONCENTRATION * quantile
        return s._log_average(n - count, n, 1 - quantile, a, b) >= math.log(100)

    assert rank < n * quantile
    assert rank == -1 or proves(rank)
    assert not proves(rank + 1)


def test_a_limit_of_zero_is_broken_by_one_event():
    assert s.surely_above(1, 1000, 0.0, 0.01)
    assert not s.surely_above(0, 1000, 0.0, 0.01)
    assert not s.surely_above(1000, 1000, 1.0, 0.01)
