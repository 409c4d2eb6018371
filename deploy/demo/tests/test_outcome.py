import pytest

from deploy.demo.outcome import Outcome, bad_since, failing_gates, problems, zero_since

PROMOTED = {"phase": "succeeded", "gate": None}
CRASHING = {"phase": "rolled_back", "gate": "error_rate"}
WRONG = {"phase": "rolled_back", "gate": "distribution"}


def found(expect: dict, outcome: Outcome | None) -> list[str]:
    return list(problems(expect, outcome, interval=5))


def test_a_promoted_good_candidate_is_as_expected() -> None:
    assert found(PROMOTED, Outcome("succeeded")) == []


@pytest.mark.parametrize("phase", ["rolled_back", "failed", "cancelled"])
def test_a_good_candidate_that_was_not_promoted_is_a_problem(phase) -> None:
    assert found(PROMOTED, Outcome(phase)) == [f"expected succeeded, but its rollout ended {phase}"]


def test_a_rollout_that_did_not_end_is_a_problem() -> None:
    assert found(WRONG, None) == ["expected rolled_back, but its rollout did not end in time"]


def test_a_bad_candidate_must_be_rolled_back_for_its_own_reason() -> None:
    assert found(WRONG, Outcome("rolled_back", frozenset({"distribution"}), 14.0)) == []
    assert found(WRONG, Outcome("rolled_back", frozenset({"latency"}), 14.0)) == [
        "expected the distribution gate to fail, but the evidence names latency"
    ]
    assert "names no gate" in found(WRONG, Outcome("rolled_back"))[0]


def test_another_gate_may_fail_beside_the_expected_one() -> None:
    assert found(WRONG, Outcome("rolled_back", frozenset({"distribution", "latency"}), 9.0)) == []


def test_the_crashing_candidate_has_an_interval_and_two_seconds() -> None:
    gates = frozenset({"error_rate"})
    assert found(CRASHING, Outcome("rolled_back", gates, 7.0)) == []
    assert "kept traffic for 7.1 s" in found(CRASHING, Outcome("rolled_back", gates, 7.1))[0]
    assert "an unknown time" in found(CRASHING, Outcome("rolled_back", gates, None))[0]


def test_failing_gates_are_read_from_the_evidence_of_the_rollback() -> None:
    gates = [{"kind": "error_rate", "verdict": "fail"}, {"kind": "latency", "verdict": "pass"}]
    moves = [
        {"to_phase": "progressing", "evidence": {"gates": [{"kind": "latency", "verdict": "fail"}]}},
        {"to_phase": "rolling_back", "evidence": {"gates": gates}},
        {"to_phase": "rolled_back", "evidence": None},
    ]
    assert failing_gates(moves) == {"error_rate"}


def test_a_rollback_without_evidence_has_no_failing_gate() -> None:
    assert failing_gates([{"to_phase": "rolling_back", "evidence": None}]) == frozenset()


def test_a_version_is_bad_since_its_first_bad_answer_or_else_its_first_answer() -> None:
    assert bad_since({"first_at": 10.0, "first_bad": {"at": 12.5, "code": "500", "detail": ""}}) == 12.5
    assert bad_since({"first_at": 10.0, "first_bad": None}) == 10.0
    assert bad_since({}) is None


def test_zero_begins_when_a_served_version_gets_nothing_more() -> None:
    history = [(1.0, {"1": 100}), (2.0, {"1": 95, "2": 5}), (8.0, {"1": 100}), (9.0, {"1": 100})]
    assert zero_since(history, "2") == 8.0


def test_a_version_that_serves_again_has_no_zero_yet() -> None:
    history = [(2.0, {"2": 5}), (3.0, {"2": 0}), (4.0, {"2": 5})]
    assert zero_since(history, "2") is None
    assert zero_since([*history, (6.0, {})], "2") == 6.0


def test_a_version_that_never_served_has_no_zero() -> None:
    assert zero_since([(1.0, {"1": 100})], "2") is None
