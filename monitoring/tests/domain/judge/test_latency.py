import numpy as np
import pytest

from monitoring.domain.histogram import Histogram
from monitoring.domain.judge import LatencyGate, Verdict
from monitoring.domain.judge.latency import judge
from monitoring.domain.judge.quantiles import estimate, ratio_bounds
from monitoring.domain.judge.spending import alpha_of_window

SECONDS = [
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10,
]  # fmt: skip
GATE = LatencyGate()
ALPHA = alpha_of_window(5, gates=4)


def histogram(values) -> Histogram:
    return Histogram.of(SECONDS, np.histogram(values, [-np.inf, *SECONDS, np.inf])[0])


def lognormal(n, median=0.007, sigma=0.5, seed=1):
    return np.random.default_rng(seed).lognormal(np.log(median), sigma, n)


def test_a_candidate_three_times_as_slow_fails_and_says_by_how_much():
    result = judge(GATE, histogram(3 * lognormal(200)), histogram(lognormal(3000, seed=2)), ALPHA)
    assert result.verdict is Verdict.FAIL
    assert result.lower > 1.5
    assert "p95 latency" in result.reason
    assert "times as long with 99 % confidence" in result.reason


def test_an_equal_candidate_passes():
    result = judge(GATE, histogram(lognormal(500)), histogram(lognormal(9000, seed=2)), ALPHA)
    assert result.verdict is Verdict.PASS


def test_slower_by_microseconds_passes_whatever_the_ratio():
    fast, slow = lognormal(3000, median=0.0002), lognormal(3000, median=0.0006)
    assert judge(GATE, histogram(slow), histogram(fast), ALPHA).verdict is Verdict.PASS


def test_a_slow_look_that_chance_could_make_is_inconclusive():
    result = judge(GATE, histogram(2.2 * lognormal(70)), histogram(lognormal(3000, seed=2)), ALPHA)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "too few requests" in result.reason


def test_too_few_requests_on_either_side_are_no_data():
    enough, few = histogram(lognormal(100)), histogram(lognormal(59))
    assert judge(GATE, few, enough, ALPHA).verdict is Verdict.NO_DATA
    assert judge(GATE, None, enough, ALPHA).verdict is Verdict.NO_DATA
    for stable in (few, None):
        result = judge(GATE, enough, stable, ALPHA)
        assert result.verdict is Verdict.NO_DATA
        assert "stable" in result.reason


def test_the_ceiling_holds_without_a_stable_version():
    gate = LatencyGate(max_ms=50)
    assert judge(gate, histogram(lognormal(500)), None, ALPHA).verdict is Verdict.PASS
    assert judge(gate, histogram(lognormal(500, median=0.2)), None, ALPHA).verdict is Verdict.FAIL
    result = judge(gate, histogram(lognormal(80, median=0.032)), None, ALPHA)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_everything_slower_than_the_last_bucket_still_fails():
    result = judge(GATE, histogram(np.full(100, 30.0)), histogram(lognormal(1000)), ALPHA)
    assert result.verdict is Verdict.FAIL
    assert result.value == 10


def test_numbers_survive_json():
    import json

    result = judge(GATE, histogram(np.full(100, 30.0)), histogram(np.zeros(100)), ALPHA)
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_the_bounds_of_a_quantile_cover_it_as_often_as_they_say(quantile):
    rng = np.random.default_rng(3)
    truth = histogram(rng.lognormal(np.log(0.007), 0.5, 2_000_000)).quantile(quantile)
    low = high = 0
    for _ in range(2000):
        found = estimate(histogram(rng.lognormal(np.log(0.007), 0.5, 400)), quantile, 0.05)
        low += found.lower > truth
        high += found.upper < truth
    assert low / 2000 <= 0.06
    assert high / 2000 <= 0.06


def test_the_bounds_of_a_ratio_cover_it_as_often_as_they_say():
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(2000):
        top = estimate(histogram(rng.lognormal(np.log(0.007), 0.5, 300)), 0.95, 0.05)
        bottom = estimate(histogram(rng.lognormal(np.log(0.007), 0.5, 900)), 0.95, 0.05)
        missed += ratio_bounds(top, bottom)[0] > 1
    assert missed / 2000 <= 0.06


def test_a_sample_too_small_for_a_bound_has_none():
    found = estimate(histogram(lognormal(10)), 0.95, 1e-4)
    assert found.upper == np.inf
    assert estimate(histogram(lognormal(3)), 0.05, 1e-4).lower == 0
