from datetime import UTC, datetime

import pytest

from monitoring.adapters.memory import MemorySource
from monitoring.analysis import Subject, judge
from monitoring.domain.judge import Verdict, parse_gates
from monitoring.domain.window import Window
from monitoring.samples.ingest import take_predictions
from monitoring.samples.pairs import paired
from monitoring.tests.samples.records import NOW, prediction

pytestmark = pytest.mark.django_db
WINDOW = Window.last(60, datetime.fromtimestamp(NOW, UTC))


def both(request_id, stable, candidate, **changes):
    return [
        prediction(request_id, "1", value=stable, **changes),
        prediction(request_id, "2", value=candidate, mirrored=True, **changes),
    ]


def test_the_same_request_id_pairs_whatever_came_first():
    records = [*both("a", 0.1, 0.2, segment={"country": "no"}), prediction("only-stable")]
    records += [prediction("only-candidate", "2"), prediction("a", "3"), *both("b", 0.5, 0.5)[::-1]]
    take_predictions(records, NOW)
    found = paired("churn-production", "1", "2", WINDOW)
    assert (found.output, found.outputs) == ("score", ("score",))
    assert {item.request_id: (item.stable, item.candidate, item.segment) for item in found.pairs} == {
        "a": ([0.1], [0.2], {"country": "no"}),
        "b": ([0.5], [0.5], {}),
    }


def test_the_output_is_the_profiles_first_unless_one_is_named():
    outputs = {"label": ["yes"], "probability": [0.9]}
    take_predictions([prediction("a", version, outputs=outputs) for version in ("1", "2")], NOW)
    profile = {"outputs": [{"name": "probability_1", "tensor": "probability"}]}
    assert paired("churn-production", "1", "2", WINDOW).output == "label"
    assert paired("churn-production", "1", "2", WINDOW, profile=profile).output == "probability"
    named = paired("churn-production", "1", "2", WINDOW, output="nothing")
    assert (named.output, named.outputs, named.pairs) == ("nothing", ("label", "probability"), ())


def test_a_plan_gates_on_pairs():
    records = [record for number in range(200) for record in both(f"r{number}", 0.5, 0.5 + number % 2)]
    take_predictions(records, NOW)
    gates = parse_gates([{"kind": "paired_predictions", "min_samples": 100}])
    subject = Subject(endpoint="churn-production", stable="1", candidate="2", window=WINDOW)
    found = judge(gates, subject, MemorySource(), datetime.fromtimestamp(NOW, UTC))
    assert found.verdict is Verdict.FAIL
    assert "both versions agree on 50.0 % of 200 requests" in found.reason
    alone = Subject(endpoint="churn-production", stable=None, candidate="2", window=WINDOW)
    assert judge(gates, alone, MemorySource(), datetime.fromtimestamp(NOW, UTC)).verdict is Verdict.ERROR
