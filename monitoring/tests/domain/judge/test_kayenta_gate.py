import numpy as np
import pytest

from monitoring.domain.judge import KayentaGate, Verdict, parse_gates
from monitoring.domain.judge.kayenta import judge, waiting
from registry.errors import Invalid

SEVEN = np.array([100.0] * 7 + [1.0] * 3)
ONES = np.ones(10)


def gate(**changes) -> KayentaGate:
    (parsed,) = parse_gates([{"kind": "kayenta", "metrics": ["errors"], **changes}])
    assert isinstance(parsed, KayentaGate)
    return parsed


def test_the_published_vector_is_flagged_as_high_only_by_a_hair():
    # CI low 6.8e-05 with an estimate of 99.0: below a quarter of it, so Kayenta passes the metric.
    assert judge(gate(), {"errors": SEVEN}, {"errors": ONES}).verdict is Verdict.PASS


def test_a_metric_that_is_clearly_higher_fails_and_is_named():
    found = judge(gate(), {"errors": ONES * 50 + np.arange(10)}, {"errors": ONES + np.arange(10)})
    assert (found.verdict, found.value) == (Verdict.FAIL, 0.0)
    assert "errors higher than the stable version's" in found.reason
    assert found.details["metrics"] == {"errors": "high"}


def test_one_of_many_that_fails_is_marginal_unless_it_is_critical():
    names = ["errors", "requests", "latency_p50", "latency_p95", "latency_p99"]
    stable = {name: ONES + np.arange(10) for name in names}
    candidate = {**stable, "errors": ONES * 50 + np.arange(10)}
    assert judge(gate(metrics=names), candidate, stable).verdict is Verdict.INCONCLUSIVE
    critical = gate(metrics=names, critical=["errors"])
    assert judge(critical, candidate, stable).verdict is Verdict.FAIL


def test_what_was_not_measured_never_passes():
    nothing = {"errors": np.full(10, np.nan)}
    assert judge(gate(), nothing, nothing).verdict is Verdict.NO_DATA
    assert judge(gate(critical=["errors"]), nothing, nothing).verdict is Verdict.FAIL


def test_before_all_points_are_there_there_is_no_verdict():
    found = waiting(gate(points=10, step_seconds=60), 245)
    assert found.verdict is Verdict.NO_DATA
    assert found.reason == "4 of 10 points of 1 min so far"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metrics": []}, "metrics"),
        ({"metrics": ["speed"]}, "metrics"),
        ({"metrics": [["errors"]]}, "metrics"),
        ({"critical": ["requests"]}, "critical"),
        ({"points": 2}, "points"),
        ({"pass_at": 50, "marginal_at": 60}, "marginal_at"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(changes, field):
    with pytest.raises(Invalid) as refused:
        gate(**changes)
    assert refused.value.field == f"gates[0].{field}"


def test_a_gate_survives_json():
    assert parse_gates([gate(points=7).to_dict()]) == (gate(points=7),)
