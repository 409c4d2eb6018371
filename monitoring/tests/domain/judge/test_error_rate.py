import pytest

from monitoring.domain.judge import Verdict
from monitoring.domain.judge.error_rate import ErrorRateGate, Outcomes, judge
from monitoring.domain.judge.spending import alpha_of_window

GATE = ErrorRateGate()
ALPHA = alpha_of_window(5, gates=4)


def test_overwhelming_evidence_fails_at_the_first_look():
    result = judge(GATE, Outcomes(7, 25), Outcomes(0, 475), ALPHA)
    assert result.verdict is Verdict.FAIL
    assert result.lower > 0.025
    assert result.reason == (
        "error rate 28.0 % vs 0.0 % stable over 25 requests; "
        "the difference is at least 2.9 points with 99 % confidence"
    )


def test_few_events_that_all_hit_a_small_canary_fail():
    # 4 errors among 20 of 400 requests: each would hit the canary with probability 1/20.
    assert judge(GATE, Outcomes(4, 20), Outcomes(0, 380), ALPHA).verdict is Verdict.FAIL
    assert judge(GATE, Outcomes(4, 20), Outcomes(76, 380), ALPHA).verdict is not Verdict.FAIL


def test_a_barely_proven_difference_is_told_as_a_ratio():
    gate = ErrorRateGate(max=None)
    results = [judge(gate, Outcomes(bad, 1000), Outcomes(30, 1000), ALPHA) for bad in range(30, 120)]
    first = next(result for result in results if result.verdict is Verdict.FAIL)
    assert first.lower == 0.0
    assert "times as high with 99 % confidence" in first.reason
    assert "the difference is at least" in results[-1].reason


def test_a_candidate_like_the_stable_version_passes():
    result = judge(GATE, Outcomes(2, 400), Outcomes(40, 8000), ALPHA)
    assert result.verdict is Verdict.PASS
    assert result.reason == "error rate 0.5 % vs 0.5 % stable over 400 requests"


def test_a_better_candidate_passes():
    assert judge(GATE, Outcomes(0, 400), Outcomes(120, 8000), ALPHA).verdict is Verdict.PASS


def test_too_few_requests_are_no_data_even_when_all_failed():
    result = judge(GATE, Outcomes(19, 19), Outcomes(0, 400), ALPHA)
    assert result.verdict is Verdict.NO_DATA
    assert result.reason == "19 requests so far; errors needs 20 to judge"
    assert judge(GATE, Outcomes(0, 0), Outcomes(0, 400), ALPHA).verdict is Verdict.NO_DATA


def test_a_suspicious_difference_that_chance_could_make_is_inconclusive():
    gate = ErrorRateGate(max=None)
    result = judge(gate, Outcomes(1, 20), Outcomes(0, 400), ALPHA)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "chance" in result.reason


def test_a_difference_that_chance_often_makes_does_not_hold_the_rollout():
    gate = ErrorRateGate(max=None)
    assert judge(gate, Outcomes(33, 100), Outcomes(900, 3000), ALPHA).verdict is Verdict.PASS


def test_a_real_but_tiny_difference_passes():
    # 0.30 % against 0.10 %: surely different, but less than half a point.
    result = judge(GATE, Outcomes(300, 100_000), Outcomes(1000, 1_000_000), ALPHA)
    assert result.p_value < 1e-9
    assert result.verdict is Verdict.PASS


def test_above_the_ceiling_for_sure_fails_though_the_stable_version_is_as_bad():
    result = judge(GATE, Outcomes(60, 1000), Outcomes(600, 10_000), ALPHA)
    assert result.verdict is Verdict.FAIL
    assert "above the ceiling of 2.0 %" in result.reason


def test_above_the_ceiling_by_chance_is_inconclusive():
    result = judge(GATE, Outcomes(5, 200), Outcomes(190, 10_000), ALPHA)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "too few requests" in result.reason


@pytest.mark.parametrize("stable", [None, Outcomes(0, 0)])
def test_without_a_stable_version_only_the_ceiling_counts(stable):
    assert judge(GATE, Outcomes(0, 200), stable, ALPHA).verdict is Verdict.PASS
    assert judge(GATE, Outcomes(100, 200), stable, ALPHA).verdict is Verdict.FAIL
    assert judge(ErrorRateGate(max=None), Outcomes(100, 200), stable, ALPHA).verdict is Verdict.NO_DATA


def test_every_gate_can_count_its_own_statuses():
    by_status = {"ok": 90.0, "rejected": 6.0, "error": 3.0, "timeout": 1.0}
    assert Outcomes.of(by_status, GATE.statuses) == Outcomes(4, 100)
    assert Outcomes.of(by_status, ("rejected",)) == Outcomes(6, 100)


def test_extrapolated_counts_are_rounded_to_requests():
    assert Outcomes.of({"ok": 99.6, "error": 0.4}, GATE.statuses) == Outcomes(0, 100)
    assert Outcomes.of({"error": 2.6}, GATE.statuses) == Outcomes(3, 3)


def test_the_rejection_gate_calls_its_rate_by_name():
    gate = ErrorRateGate(name="rejected", statuses=("rejected",), max=None, min_effect=0.02)
    assert judge(gate, Outcomes(50, 100), Outcomes(0, 900), ALPHA).reason.startswith("rejection rate 50.0 %")
