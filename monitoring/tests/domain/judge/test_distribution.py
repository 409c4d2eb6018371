import numpy as np
import pytest
from scipy.stats import chi2, ncx2

from monitoring.domain.drift.psi import assess, psi
from monitoring.domain.judge import DistributionGate, Verdict
from monitoring.domain.judge.distribution import BinnedPair, judge
from monitoring.domain.judge.spending import alpha_of_look

GATE = DistributionGate()
ALPHA = alpha_of_look(1, gates=4)
FLAT = np.full(10, 0.1)


def draw(n, shares=FLAT, seed=0):
    return np.random.default_rng(seed).multinomial(n, shares).astype(float)


def look(candidate, reference, gate=GATE):
    return judge(gate, BinnedPair("progression", candidate, reference), ALPHA)


def test_predictions_piled_into_one_bin_fail():
    piled = np.array([0.91, *[0.01] * 9])
    result = look(draw(150, piled), draw(2000))
    assert result.verdict is Verdict.FAIL
    assert result.lower > GATE.max
    assert result.reason.startswith("PSI of progression ")
    assert "vs the stable version over 150 predictions; the true divergence is at least" in result.reason


def test_the_same_distribution_passes():
    result = look(draw(400), draw(4000, seed=1))
    assert result.verdict is Verdict.PASS


def test_noise_above_the_limit_is_inconclusive_not_a_failure():
    shares = np.array([0.19, 0.01, *[0.1] * 8])
    result = look(draw(100, shares, seed=3), draw(3000, seed=1))
    assert result.value > GATE.max
    assert result.verdict is Verdict.INCONCLUSIVE


def test_too_few_on_either_side_are_no_data():
    assert look(draw(99), draw(3000)).verdict is Verdict.NO_DATA
    assert look(draw(3000), draw(99)).verdict is Verdict.NO_DATA
    assert judge(GATE, BinnedPair.partial("y", 500, 0), ALPHA).verdict is Verdict.NO_DATA


def test_a_baseline_that_is_too_small_is_not_said_to_be_so_only_so_far():
    fixed = DistributionGate(against="baseline", min_samples=200)
    assert look(draw(1972), draw(89), fixed).reason == (
        "the baseline of progression has 89 values and does not grow; comparing distributions needs 200 of each"
    )
    assert "20 predictions of progression so far" in look(draw(20), draw(300), fixed).reason


def test_the_sentence_names_what_was_compared_with():
    gate = DistributionGate(against="baseline")
    assert "vs the baseline" in look(draw(400), draw(400, seed=1), gate).reason


def test_psi_is_symmetric_and_zero_for_equal_shares():
    left, right = draw(300), draw(700, [0.3, *[0.7 / 9] * 9])
    assert psi(left, right) == pytest.approx(psi(right, left))
    assert psi(left, left) == 0


def test_psi_by_hand():
    # p = (½+1)/(1+1) = ¾ and ¼ against ¼ and ¾: 2 · ½ · ln 3.
    assert psi(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(3))


def test_bounds_agree_with_the_chi_square_laws_of_scipy():
    found = assess(draw(300, [0.25, *[0.75 / 9] * 9]), draw(900), 0.01)
    size = 300 * 900 / 1200
    assert found.noise == pytest.approx(chi2.isf(0.01, 9) / size)
    assert found.p_value == pytest.approx(chi2.sf(found.value * size, 9))
    assert ncx2.sf(found.value * size, 9, found.lower * size) == pytest.approx(0.01, rel=1e-4)


def test_without_drift_there_is_no_lower_bound():
    assert assess(draw(300), draw(900, seed=1), 0.01).lower == 0


def test_bins_that_nobody_used_count_for_nothing():
    padded = assess(np.append(draw(300), 0), np.append(draw(900, seed=1), 0), 0.01)
    assert padded.bins == 10


@pytest.mark.parametrize("n", [100, 200, 500, 1000])
def test_without_drift_noise_rarely_exceeds_its_bound(n):
    rng = np.random.default_rng(n)
    flagged = sum(
        found.value > found.noise
        for found in (
            assess(rng.multinomial(n, FLAT).astype(float), rng.multinomial(5 * n, FLAT).astype(float), 0.01)
            for _ in range(3000)
        )
    )
    assert flagged / 3000 <= 0.015


@pytest.mark.parametrize("n", [100, 300, 1000])
def test_a_shift_exactly_at_the_limit_rarely_fails(n):
    shift = np.array([1.0, -1.0] * 5)
    shares = FLAT * (1 + 0.437 * shift)  # its PSI against FLAT is 0.2 to three digits
    p, q = shares, FLAT
    assert ((p - q) * np.log(p / q)).sum() == pytest.approx(0.2, abs=0.01)
    rng = np.random.default_rng(n)
    failed = sum(
        assess(
            rng.multinomial(n, shares).astype(float), rng.multinomial(9 * n, FLAT).astype(float), 0.01
        ).lower
        > 0.2
        for _ in range(3000)
    )
    assert failed / 3000 <= 0.02
