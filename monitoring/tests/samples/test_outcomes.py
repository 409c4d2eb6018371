from datetime import UTC, datetime

import pytest

from monitoring.adapters.memory import MemorySource
from monitoring.analysis import Subject, judge
from monitoring.domain.judge import Verdict, parse_gates
from monitoring.domain.window import Window
from monitoring.samples.ingest import take_labels, take_predictions
from monitoring.samples.outcomes import outcomes_of
from monitoring.tests.samples.records import NOW, label, prediction

pytestmark = pytest.mark.django_db
WINDOW = Window.last(60, datetime.fromtimestamp(NOW, UTC))


def outcomes(name="label", **options):
    found = outcomes_of("churn-production", name, ["1", "2"], WINDOW, **options)
    return {version: (moments.n, moments.mean) for version, moments in found.items()}


def test_labels_join_by_request_id_whichever_comes_first():
    take_labels([label("a", 1), label("elsewhere", 1)], NOW)
    take_predictions([prediction("a"), prediction("b", "2"), prediction("unlabelled")], NOW)
    assert outcomes() == {"1": (1, 1.0), "2": (0, 0.0)}
    take_labels([label("b", 0), label("b", 25.5, name="revenue"), label("a", "cat", name="kind")], NOW)
    assert outcomes() == {"1": (1, 1.0), "2": (1, 0.0)}
    assert outcomes("revenue") == {"1": (0, 0.0), "2": (1, 25.5)}
    assert outcomes("kind") == {"1": (0, 0.0), "2": (0, 0.0)}, "texts have no mean"


def test_a_label_for_one_version_goes_before_one_for_all():
    take_predictions([prediction("a", "1"), prediction("a", "2")], NOW)
    take_labels([label("a", 1), label("a", 0, version="2")], NOW)
    assert outcomes() == {"1": (1, 1.0), "2": (1, 0.0)}


def test_a_label_that_names_its_version_needs_no_sampled_prediction():
    take_predictions([prediction("a", "1")], NOW)
    take_labels([label("a", 1, version="1"), label("b", 1, version="2", at=NOW - 3)], NOW)
    take_labels([label("old", 1, version="2", at=NOW - 61)], NOW)
    assert outcomes() == {"1": (1, 1.0), "2": (1, 1.0)}


def test_predictions_outside_the_window_or_of_others_do_not_count():
    take_predictions(
        [prediction("before", at=NOW - 60), prediction("in", at=NOW), prediction("x", endpoint="o")], NOW
    )
    take_labels([label(request_id) for request_id in ("before", "in", "x")], NOW)
    assert outcomes()["1"] == (1, 1.0)


def test_copies_that_no_user_saw_change_no_outcome():
    take_predictions([prediction("a", "1"), prediction("a", "2", mirrored=True)], NOW)
    take_labels([label("a", 1)], NOW)
    assert outcomes() == {"1": (1, 1.0), "2": (0, 0.0)}
    assert outcomes(mirrored=True) == {"1": (1, 1.0), "2": (1, 1.0)}


def judged(gate, rates, n=1000):
    records, labels = [], []
    for version, rate in rates.items():
        ids = [f"{version}-{number}" for number in range(n)]
        records += [prediction(request_id, version) for request_id in ids]
        labels += [label(request_id, number < rate * n) for number, request_id in enumerate(ids)]
    for start in range(0, len(records), 1000):
        take_predictions(records[start : start + 1000], NOW)
        take_labels(labels[start : start + 1000], NOW)
    subject = Subject(endpoint="churn-production", stable="1", candidate="2", window=WINDOW)
    return judge(parse_gates([gate]), subject, MemorySource(), datetime.fromtimestamp(NOW, UTC))


def test_a_plan_gates_on_an_outcome():
    gate = {"kind": "outcome", "name": "conversion", "outcome": "label", "min_samples": 100}
    found = judged(gate, {"1": 0.3, "2": 0.1})
    assert found.verdict is Verdict.FAIL
    assert found.gates[0].reason.startswith(
        "label 10.0 % vs 30.0 % stable over 1,000 predictions; it is worse by at least"
    )
    assert (found.gates[0].n, found.gates[0].reference_n) == (1000, 1000)


def test_without_labels_there_is_no_data():
    found = judged({"kind": "outcome", "min_samples": 100}, {"1": 0.3, "2": 0.1}, n=50)
    assert found.verdict is Verdict.NO_DATA
    assert "known of 50 predictions vs 50 stable so far" in found.reason
