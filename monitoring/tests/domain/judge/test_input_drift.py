"""The gate on inputs, and the bounds that it and the distribution gate rest on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from monitoring.domain.drift.bounds import STATISTICS
from monitoring.domain.drift.divergences import jensen_shannon
from monitoring.domain.judge import DistributionGate, InputDriftGate, Verdict, distribution, input_drift
from monitoring.domain.judge.distribution import BinnedPair

FLAT = np.full(10, 0.1)
PILED = np.array([0.46, *[0.06] * 9])


def draw(n, shares=FLAT, seed=0):
    return np.random.default_rng(seed).multinomial(n, shares).astype(float)


def pairs(**shares):
    return [
        BinnedPair(name, draw(2000, share, seed), draw(5000, seed=9))
        for seed, (name, share) in enumerate(shares.items())
    ]


@pytest.mark.parametrize("statistic", ["psi", "ks"])
def test_the_feature_that_moved_fails_the_gate_and_is_named(statistic):
    found = input_drift.judge(InputDriftGate(statistic=statistic), pairs(age=FLAT, spend=PILED), 0.001)
    assert found.verdict is Verdict.FAIL
    assert found.details["feature"] == "spend"
    assert "of spend" in found.reason and "the largest of 2 features" in found.reason
    assert found.lower > 0.2


def test_features_that_did_not_move_pass():
    assert input_drift.judge(InputDriftGate(), pairs(age=FLAT, spend=FLAT), 0.001).verdict is Verdict.PASS


def test_too_few_values_are_no_data_and_are_not_counted_as_unmoved():
    few = BinnedPair("age", draw(20), draw(5000))
    assert input_drift.judge(InputDriftGate(), [few], 0.001).verdict is Verdict.NO_DATA
    found = input_drift.judge(InputDriftGate(), [few, *pairs(spend=FLAT)], 0.001)
    assert found.reason.endswith("too few values of 1 others")


def test_a_jensen_shannon_gate_compares_outputs():
    gate = DistributionGate(statistic="js", max=0.1)
    found = distribution.judge(gate, BinnedPair("y", draw(2000, PILED), draw(5000)), 0.001)
    assert (found.verdict, found.unit) == (Verdict.FAIL, "js")
    assert found.reason.startswith("Jensen–Shannon distance of y ")


def test_the_distances_are_scipys_and_the_drift_pages():
    left, right = draw(3000, PILED), draw(4000)
    p, q = (left + 0.5) / (left.sum() + 5), (right + 0.5) / (right.sum() + 5)
    assert STATISTICS["js"](left, right, 0.01).value == pytest.approx(jensenshannon(p, q, base=2), abs=1e-9)
    assert jensen_shannon(left, right) == pytest.approx(jensenshannon(left, right, base=2), abs=1e-9)


@pytest.mark.parametrize("statistic", ["psi", "js", "ks"])
def test_the_lower_bound_exceeds_the_truth_no_more_often_than_its_level(statistic):
    shares = np.array([0.19, 0.01, *[0.1] * 8])
    truth = STATISTICS[statistic](shares * 1e9, FLAT * 1e9, 0.5).value
    rng = np.random.default_rng(0)
    sides = zip(rng.multinomial(500, shares, 1000), rng.multinomial(2000, FLAT, 1000), strict=True)
    above = sum(STATISTICS[statistic](*map(np.asarray, side), 0.05).lower > truth for side in sides)
    assert above <= 80, "of 1,000; 50 expected, 80 has a chance of 1 in 50,000"
