"""Drift of live versions, from metrics to history."""

from datetime import UTC, datetime

import numpy as np
import pytest

from monitoring import drifting, tasks
from monitoring.adapters.memory import MemorySource
from monitoring.chores import Duty, claim
from monitoring.domain.histogram import Histogram
from monitoring.errors import MetricsGone, MetricsUnavailable
from monitoring.models import Chore, DriftReading
from registry.domain.profile import Column, build_profile
from registry.models import Model, Version

HOUR = 3600.0
END = 1_790_000_000 // HOUR * HOUR
NOW = END + 120
pytestmark = pytest.mark.django_db


@pytest.fixture
def profile():
    rng = np.random.default_rng(0)
    columns = [Column(name, "X", index, rng.normal(size=2000)) for index, name in enumerate(("age", "spend"))]
    label = Column("label", "label", None, np.array(["no"] * 1500 + ["yes"] * 500), categorical=True)
    return build_profile(columns, [label], 2000)


@pytest.fixture
def source(profile):
    model = Model.objects.create(name="churn", last_number=2)
    for number, document in ((1, profile), (2, None)):
        Version.objects.create(
            model=model,
            number=number,
            digest=f"sha256:{number:064x}",
            size=1,
            format="onnx",
            profile=document,
        )
    return MemorySource()


class Served:
    """One version's counters at the start and the end of an hour."""

    def __init__(self, source, version, n=1000, endpoint="churn-production", hours_ago=0, **shifts):
        rng = np.random.default_rng(1)
        labels = {"endpoint": endpoint, "model": "churn", "model_version": version}
        self.source, self.n, self.end = source, n, END - hours_ago * HOUR
        self._counter("model_predictions_total", labels | {"status": "ok"}, n)
        for name, edges in self.edges.items():
            counts = np.histogram(rng.normal(shifts.get(name, 0.0), size=n), [-np.inf, *edges, np.inf])[0]
            empty = Histogram.of(edges, np.zeros(len(edges) + 1))
            item = labels | {"feature": name}
            source.add_histogram("model_input_value", item, self.end - HOUR, empty)
            source.add_histogram("model_input_value", item, self.end - 1, Histogram.of(edges, counts))
        for name, count in (("no", 0.75 * n), ("yes", 0.25 * n), ("other", 0)):
            self._counter("model_output_class_total", labels | {"output": "label", "class": name}, count)

    edges: dict = {}

    def _counter(self, metric, labels, count):
        self.source.add(metric, labels, self.end - HOUR, 0)
        self.source.add(metric, labels, self.end - 1, count)


@pytest.fixture(autouse=True)
def _edges(profile):
    Served.edges = {item["name"]: item["edges"] for item in profile["inputs"]}


def test_every_live_version_with_a_profile_is_measured(source):
    Served(source, "1", spend=1.5)
    Served(source, "2")
    assert drifting.measure_all(source, NOW) == 1
    reading = DriftReading.objects.get()
    assert (reading.endpoint, reading.model, reading.version, reading.at) == (
        "churn-production", "churn", "1", END,
    )  # fmt: skip
    assert (reading.state, reading.drifted) == ("drifted", 1)
    assert [(column["name"], column["side"], column["state"]) for column in reading.columns] == [
        ("spend", "inputs", "drifted"), ("age", "inputs", "stable"), ("label", "outputs", "stable"),
    ]  # fmt: skip
    assert reading.columns[0]["wasserstein"] == pytest.approx(1.5, abs=0.4)


def test_measuring_a_window_again_replaces_its_reading(source):
    Served(source, "1")
    drifting.measure_all(source, NOW)
    drifting.measure_all(source, NOW + 60)
    assert DriftReading.objects.count() == 1
    assert Chore.objects.get(name="drift").done_until == END


def handed_out(source, now=NOW, limit=100):
    handed = []
    drifting.schedule(source, now, lambda *what: handed.append(what), limit)
    return [(endpoint, round((END - window.end.timestamp()) / HOUR)) for endpoint, _, window in handed]


def test_each_endpoint_is_a_message_of_its_own_until_it_is_measured(source):
    for endpoint in ("a", "b"):
        Served(source, "1", endpoint=endpoint)
    assert handed_out(source) == [("a", 0), ("b", 0)]
    window = drifting.window_before(NOW)
    drifting.measure_endpoint(source, "b", [("churn", "1")], window)
    assert handed_out(source, NOW + 60) == [("a", 0)], "its message was lost"
    drifting.measure_endpoint(source, "a", [("churn", "1")], window)
    assert handed_out(source, NOW + 120) == []
    assert Chore.objects.get(name="drift").done_until == END


def test_no_more_endpoints_are_handed_out_than_ticks_can_wait_for(source):
    for number in range(5):
        Served(source, "1", endpoint=f"e{number}")
    assert len(handed_out(source, limit=3)) == 3


def test_hours_that_an_outage_left_out_are_made_up_for_the_newest_first(source):
    Chore.objects.create(name="drift", done_until=END - 3 * HOUR)
    Served(source, "1", hours_ago=1)
    Served(source, "1", endpoint="b")
    assert handed_out(source) == [("b", 0), ("churn-production", 1)]
    assert drifting.measure_all(source, NOW) == 2
    assert DriftReading.objects.filter(at=END - HOUR, endpoint="churn-production").exists()
    assert handed_out(source) == []
    assert Chore.objects.get(name="drift").done_until == END


def test_a_message_measures_the_endpoint_that_it_names(source, monkeypatch, caplog):
    monkeypatch.setattr(tasks.wiring, "metrics_source", lambda: source)
    Served(source, "1")
    message = ("churn-production", [["churn", "1"]], drifting.window_before(NOW).to_dict())
    tasks.measure_drift(*message)
    assert DriftReading.objects.get().at == END
    source.outage = "gone"
    tasks.measure_drift(*message)
    assert "was not measured" in caplog.text


def test_an_hour_that_the_metrics_know_nothing_of_holds_nothing_up(source):
    class Forgetful(MemorySource):
        def increase(self, metric, *, window, **rest):
            if window.end.timestamp() < END:
                raise MetricsUnavailable("nothing was stored then")
            return source.increase(metric, window=window, **rest)

        histogram = source.histogram

    Chore.objects.create(name="drift", done_until=END - 100 * HOUR)
    Served(source, "1")
    assert drifting.measure_all(Forgetful(), NOW) == 1
    assert drifting.measure_all(Forgetful(), NOW) == 0
    assert Chore.objects.get(name="drift").done_until == END


def test_the_newest_hour_is_done_with_when_the_metrics_began_after_it(source, monkeypatch):
    def began_later(*args, **rest):
        raise MetricsGone("nothing is stored of that time")

    monkeypatch.setattr(source, "increase", began_later)
    assert drifting.measure_all(source, NOW) == 0
    assert Chore.objects.get(name="drift").done_until == END


def test_while_the_metrics_do_not_answer_nothing_counts_as_measured(source):
    source.outage = "gone"
    with pytest.raises(MetricsUnavailable):
        drifting.measure_all(source, NOW)
    assert Chore.objects.get(name="drift").done_until == 0


def test_a_version_nobody_asked_is_not_measured(source):
    assert drifting.measure_all(source, NOW) == 0
    assert not DriftReading.objects.exists()


def test_history_is_kept_for_the_days_that_are_set(source, settings):
    settings.SLIPWAY_DRIFT_KEEP_DAYS = 1
    Served(source, "1")
    drifting.measure_all(source, NOW)
    assert drifting.trim(NOW) == 0
    assert drifting.trim(NOW + 86_400) == 1


def test_the_number_of_questions_does_not_grow_with_versions_and_columns(source):
    asked = []

    class Counting(MemorySource):
        def increase(self, metric, **kwargs):
            asked.append(metric)
            return source.increase(metric, **kwargs)

        def histogram(self, metric, **kwargs):
            asked.append(metric)
            return source.histogram(metric, **kwargs)

    Served(source, "1")
    drifting.measure_all(Counting(), NOW)
    assert len(asked) == 5


def test_a_duty_is_done_by_one_claimant_and_again_when_it_is_due():
    duties = {"trim": Duty("trim", 60.0, lambda now: None)}
    assert [duty.name for duty in claim(duties, 1000.0)] == ["trim"]
    assert list(claim(duties, 1059.0)) == []
    assert [duty.name for duty in claim(duties, 1060.0)] == ["trim"]


def test_windows_are_whole_intervals(settings):
    settings.SLIPWAY_DRIFT_INTERVAL = 600
    window = drifting.window_before(1_790_000_123.0)
    assert window.end == datetime.fromtimestamp(1_790_000_123 // 600 * 600, UTC)
    assert window.seconds == 600
