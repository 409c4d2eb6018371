import numpy as np
import pytest

from monitoring.domain.judge import PairedGate, Verdict, parse_gates
from monitoring.domain.judge.means import Moments
from monitoring.domain.judge.paired import judge
from monitoring.domain.pairs import Comparison, Pair, by_segment, compare
from registry.errors import Invalid

ALPHA = 0.002
NONE = Moments.of(np.array([]))


def pairs(n, agreed, seed=0, spread=0.5):
    """`agreed` of n requests agree, the others differ by about `spread`."""
    rng = np.random.default_rng(seed)
    left = rng.normal(size=n)
    apart = np.where(np.arange(n) < agreed, 0.0, spread * (1 + rng.random(n)))
    return [
        Pair(f"r{index}", float(index), [a], [b], {"country": "no" if index % 2 else "se"})
        for index, (a, b) in enumerate(zip(left.tolist(), (left + apart).tolist(), strict=True))
    ]


def judged(gate, items):
    return judge(gate, "score", compare(items, gate.allowed), by_segment(items, gate.allowed), ALPHA)


@pytest.mark.parametrize(
    ("n", "agreed", "verdict"),
    [
        (1000, 990, Verdict.PASS),
        (1000, 940, Verdict.INCONCLUSIVE),
        (1000, 800, Verdict.FAIL),
        (99, 0, Verdict.NO_DATA),
    ],
)
def test_versions_must_agree_on_as_many_requests_as_the_gate_asks(n, agreed, verdict):
    assert judged(PairedGate(), pairs(n, agreed)).verdict is verdict


def test_the_evidence_names_the_worst_requests_and_the_segments():
    result = judged(PairedGate(), pairs(1000, 800))
    assert result.reason.startswith("both versions agree on 80.0 % of 1,000 requests (score)")
    assert "where 95.0 % are asked for" in result.reason
    assert len(result.details["worst"]) == 5
    assert set(result.details["segments"]) == {"country=no", "country=se"}
    assert result.effect == pytest.approx(0.2)
    assert result.lower < result.effect < result.upper


def test_looking_after_every_request_raises_no_more_false_alarms_than_alpha():
    rng = np.random.default_rng(3)
    gate = PairedGate(min_agreement=0.9)
    false = 0
    for _ in range(200):
        agree = np.cumsum(rng.random(1000) < 0.9)
        for n in range(100, 1001, 25):
            found = Comparison(n, int(agree[n - 1]), NONE, None, None, ())
            if judge(gate, "y", found, {}, 0.05).verdict is Verdict.FAIL:
                false += 1
                break
    assert false <= 20  # 0.05 of 200 is 10


def test_a_mean_difference_above_the_limit_fails_when_it_is_sure():
    gate = PairedGate(min_agreement=None, max_difference=0.1)
    assert judged(gate, pairs(2000, 1000)).verdict is Verdict.FAIL
    assert judged(gate, pairs(2000, 1900)).verdict is Verdict.PASS
    assert judged(gate, pairs(120, 100)).verdict is Verdict.INCONCLUSIVE
    classes = [Pair("r", 0.0, ["a"], ["a"])] * 200
    assert judged(gate, classes).verdict is Verdict.NO_DATA


def test_a_rank_correlation_below_the_limit_fails_when_it_is_sure():
    gate = PairedGate(min_agreement=None, min_correlation=0.9)
    assert judged(gate, pairs(2000, 0, spread=5)).verdict is Verdict.FAIL
    assert judged(gate, pairs(2000, 2000)).verdict is Verdict.PASS


def test_a_plan_names_a_paired_gate():
    document = {
        "kind": "paired_predictions", "name": "shadow", "output": "score", "tolerance": 0.01,
        "relative_tolerance": 0.0, "min_agreement": 0.99, "max_difference": None, "min_correlation": 0.95,
        "min_samples": 200,
    }  # fmt: skip
    (gate,) = parse_gates([document])
    assert gate.to_dict() == document


@pytest.mark.parametrize(
    ("field", "value"),
    [("tolerance", -1), ("min_agreement", 2), ("min_correlation", -2), ("min_agreement", None), ("x", 1)],
)
def test_a_bad_paired_gate_is_refused_with_the_field(field, value):
    with pytest.raises(Invalid) as caught:
        parse_gates([{"kind": "paired_predictions", field: value}])
    assert caught.value.field == f"gates[0].{field}"
