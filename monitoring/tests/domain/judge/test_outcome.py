import numpy as np
import pytest

from monitoring.domain.judge import OutcomeGate, Verdict, parse_gates
from monitoring.domain.judge.means import Moments
from monitoring.domain.judge.outcome import judge
from registry.errors import Invalid

ALPHA = 0.001


def rate(share, n):
    values = np.zeros(n)
    values[: round(share * n)] = 1
    return Moments.of(values)


def values(mean, n=2000, spread=3.0, seed=0):
    return Moments.of(np.random.default_rng(seed).normal(mean, spread, n))


@pytest.mark.parametrize(
    ("better", "candidate", "verdict"),
    [
        ("higher", 0.20, Verdict.FAIL),
        ("higher", 0.40, Verdict.PASS),
        ("higher", 0.30, Verdict.PASS),
        ("lower", 0.20, Verdict.PASS),
        ("lower", 0.40, Verdict.FAIL),
    ],
)
def test_a_candidate_that_is_surely_worse_fails_in_the_direction_that_was_asked_for(
    better, candidate, verdict
):
    gate = OutcomeGate(better=better)
    assert judge(gate, rate(candidate, 3000), rate(0.30, 3000), ALPHA).verdict is verdict


def test_the_reason_says_what_was_compared():
    result = judge(OutcomeGate(outcome="conversion"), rate(0.10, 1240), rate(0.20, 1240), ALPHA)
    assert result.reason == (
        "conversion 10.0 % vs 20.0 % stable over 1,240 predictions; "
        "it is worse by at least 3.4 points with 99 % confidence"
    )
    assert (result.unit, result.n, result.reference_n) == ("ratio", 1240, 1240)
    assert result.lower < result.effect < result.upper < 0


def test_a_difference_below_the_least_effect_is_no_reason_to_stop():
    gate = OutcomeGate(min_effect=0.05)
    assert judge(gate, rate(0.27, 100_000), rate(0.30, 100_000), ALPHA).verdict is Verdict.PASS
    assert judge(gate, rate(0.24, 100_000), rate(0.30, 100_000), ALPHA).verdict is Verdict.FAIL


def test_a_relative_least_effect_is_a_share_of_the_stable_mean():
    gate = OutcomeGate(min_effect=0.1, relative=True)
    assert judge(gate, values(9.5), values(10, seed=1), ALPHA).verdict is Verdict.PASS
    assert judge(gate, values(8.5), values(10, seed=1), ALPHA).verdict is Verdict.FAIL


def test_worse_without_proof_is_inconclusive():
    result = judge(OutcomeGate(), rate(0.24, 200), rate(0.30, 200), ALPHA)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "chance" in result.reason


@pytest.mark.parametrize(
    ("candidate", "min_effect", "verdict"),
    [
        (0.40, 0.0, Verdict.PASS),
        (0.301, 0.0, Verdict.INCONCLUSIVE),
        (0.20, 0.0, Verdict.FAIL),
        (0.40, 0.05, Verdict.PASS),
        (0.305, 0.05, Verdict.FAIL),
    ],
)
def test_who_asks_for_better_gets_it_proven(candidate, min_effect, verdict):
    gate = OutcomeGate(require="better", min_effect=min_effect)
    assert judge(gate, rate(candidate, 20_000), rate(0.30, 20_000), ALPHA).verdict is verdict


def test_few_labels_are_no_data():
    result = judge(OutcomeGate(), rate(0.0, 99), rate(0.3, 5000), ALPHA)
    assert result.verdict is Verdict.NO_DATA
    assert result.reason == (
        "label is known of 99 predictions vs 5,000 stable so far; comparing them needs 100 of each"
    )
    assert judge(OutcomeGate(), rate(0.3, 500), None, ALPHA).verdict is Verdict.NO_DATA
    assert judge(OutcomeGate(), Moments.of(np.full(500, 7.0)), values(7), ALPHA).verdict is Verdict.NO_DATA


def test_a_plan_names_an_outcome_gate():
    document = {
        "kind": "outcome", "name": "revenue", "outcome": "revenue", "better": "higher",
        "require": "better", "min_effect": 0.02, "relative": True, "min_samples": 500,
    }  # fmt: skip
    (gate,) = parse_gates([document])
    assert gate.to_dict() == document


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("better", "more"), ("require", "same"), ("min_effect", -1), ("relative", "yes"),
        ("min_samples", 3), ("outcome", ""), ("metric", "x"),
    ],
)  # fmt: skip
def test_a_bad_outcome_gate_is_refused_with_the_field(field, value):
    with pytest.raises(Invalid) as caught:
        parse_gates([{"kind": "outcome", field: value}])
    assert caught.value.field == f"gates[0].{field}"
