import pytest

from monitoring.models import Chore, ConceptReading
from monitoring.samples import concept
from monitoring.samples.ingest import take_labels, take_predictions
from monitoring.tests.samples.records import NOW, label, prediction

HOUR = 3600
END = NOW // HOUR * HOUR
pytestmark = pytest.mark.django_db


def answered(n, right, version="1", at=END - 10, prefix="r"):
    """n predictions of which `right` were right, and their labels."""
    records = [
        prediction(f"{prefix}{i}", version, at=at, outputs={"probability": [0.1, 0.9]}) for i in range(n)
    ]
    return records, [label(f"{prefix}{i}", i < right) for i in range(n)]


def figures():
    rows = ConceptReading.objects.order_by("version", "at")
    return [(row.version, row.at, row.n, row.metrics["accuracy"]) for row in rows]


def test_a_window_is_measured_when_its_labels_arrive():
    records, labels = answered(10, 8)
    take_predictions(records, NOW)
    assert concept.update(NOW) == 0
    take_labels(labels, NOW + 100)
    assert concept.update(NOW + 200) == 1
    assert figures() == [("1", END, 10, 0.8)]
    assert ConceptReading.objects.get().kind == "binary"


def test_late_and_changed_labels_measure_their_window_anew():
    records, labels = answered(10, 10)
    take_predictions(records, NOW)
    take_labels(labels[:4], NOW)
    concept.update(NOW)
    assert figures() == [("1", END, 4, 1.0)]
    take_labels([*labels[4:], label("r0", False)], NOW + 5 * HOUR)
    concept.update(NOW + 5 * HOUR)
    assert figures() == [("1", END, 10, 0.9)]


def test_a_prediction_after_its_label_counts_too():
    records, labels = answered(4, 2)
    take_labels(labels, NOW)
    concept.update(NOW)
    take_predictions(records, NOW + 300)
    concept.update(NOW + 300)
    assert figures() == [("1", END, 4, 0.5)]


def test_every_version_and_hour_has_a_reading_of_its_own():
    for at, prefix in ((END - 10, "a"), (END, "b"), (END + 1, "c")):
        for version in ("1", "2"):
            records, labels = answered(4, 4 if version == "1" else 2, version, at, prefix)
            take_predictions(records, NOW + 10)
            take_labels([item | {"version": version} for item in labels], NOW + 10)
    concept.update(NOW + 20)
    assert figures() == [
        ("1", END, 8, 1.0), ("1", END + HOUR, 4, 1.0), ("2", END, 8, 0.5), ("2", END + HOUR, 4, 0.5),
    ]  # fmt: skip


def test_nothing_new_is_nothing_to_do():
    records, labels = answered(2, 1)
    take_predictions(records, NOW)
    take_labels(labels, NOW)
    assert concept.update(NOW) == 1
    assert concept.update(NOW + 3600) == 1, "the overlap is looked at twice"
    assert concept.update(NOW + 7200) == 0
    assert Chore.objects.get(name="concept").done_until == NOW + 7200


def test_a_backlog_is_worked_off_slice_by_slice_over_several_turns(monkeypatch):
    monkeypatch.setattr(concept, "SLICE_ROWS", 4)
    monkeypatch.setattr(concept, "BUDGET_SECONDS", 0.0)
    for turn in range(3):
        records, labels = answered(4, 4, at=END - 10 - turn * HOUR, prefix=f"t{turn}-")
        take_predictions(records, NOW + turn * 1000)
        take_labels(labels, NOW + turn * 1000 + 1)
    done = []
    while not done or done[-1] < NOW + 5000:
        concept.update(NOW + 5000)
        done.append(Chore.objects.get(name="concept").done_until)
    assert len(done) > 3 and done == sorted(set(done))
    assert [(at, n) for _, at, n, _ in figures()] == [(END - 2 * HOUR, 4), (END - HOUR, 4), (END, 4)]


def test_labels_that_fit_no_answer_leave_no_reading():
    take_predictions([prediction("a", at=END - 1, outputs={"price": [3.0, 4.0]})], NOW)
    take_labels([label("a", 3.0)], NOW)
    concept.update(NOW)
    assert not ConceptReading.objects.exists()


def test_history_is_kept_for_the_days_that_are_set(settings):
    settings.SLIPWAY_DRIFT_KEEP_DAYS = 1
    records, labels = answered(2, 1)
    take_predictions(records, NOW)
    take_labels(labels, NOW)
    concept.update(NOW)
    assert concept.trim(NOW) == 0
    assert concept.trim(NOW + 90_000) == 1
