import itertools
import math
from datetime import UTC, datetime, timedelta

import pytest

from monitoring.domain.judge import GateResult, Judgement, Verdict, combine
from monitoring.domain.judge.spending import ALPHA, alpha_of_look, alpha_of_window, share_of_look
from monitoring.domain.window import Window


def result(verdict, name="g"):
    return GateResult(name, "error_rate", verdict, f"it is {verdict}")


ORDER = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.ERROR, Verdict.FAIL]


@pytest.mark.parametrize(("left", "right"), list(itertools.product(ORDER, ORDER)))
def test_the_worst_gate_decides(left, right):
    verdict, _ = combine([result(left), result(right)])
    assert verdict is max(left, right, key=ORDER.index)


def test_the_reason_is_that_of_the_deciding_gates_only():
    verdict, reason = combine(
        [result(Verdict.PASS, "a"), result(Verdict.FAIL, "b"), result(Verdict.NO_DATA, "c")]
    )
    assert verdict is Verdict.FAIL
    assert reason == "b: it is fail"


def test_an_analysis_without_gates_is_an_error():
    assert combine([])[0] is Verdict.ERROR


def test_a_judgement_survives_json():
    import json

    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = Judgement(Verdict.FAIL, "why", (result(Verdict.FAIL),), now, Window(now - timedelta(60), now))
    assert Judgement.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_a_million_looks_spend_no_more_than_the_budget():
    spent = sum(share_of_look(k) for k in range(1, 1_000_001))
    # What is left is the tail of the series: 1/ln(n), normalised.
    assert spent < 1
    assert spent + 1 / math.log(1_000_001) / 2.1097 == pytest.approx(1, abs=1e-3)


def test_gates_share_the_budget_of_a_look():
    assert 4 * alpha_of_look(3, gates=4) == pytest.approx(ALPHA * share_of_look(3))


def test_windows_and_gates_share_the_budget_of_a_rollout():
    assert 4 * 5 * alpha_of_window(5, gates=4) == pytest.approx(ALPHA)
    with pytest.raises(ValueError, match="at least one"):
        alpha_of_window(0, gates=4)


def test_looks_are_counted_from_one():
    with pytest.raises(ValueError, match="from 1"):
        share_of_look(0)
