"""Evaluating rules over a metrics source: states as rows, history, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitoring.adapters.memory import MemorySource
from monitoring.alerting import people
from monitoring.alerting.evaluate import EVERY, evaluate_due, forget_old
from monitoring.domain.histogram import Histogram
from monitoring.models import Alert, AlertEvent, AlertRule, Notice, NoticeTarget
from registry.domain.actor import Actor
from registry.models import Model, Version

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA = Actor(kind="user", name="ada", id=None)
SECONDS = [0.05, 0.1, 0.2, 0.3, 0.5]


class Fleet:
    """Counters that grow from evaluation to evaluation."""

    def __init__(self) -> None:
        self.source = MemorySource()
        self.now = NOON
        self.totals: dict[tuple[str, ...], float] = {}
        self.slow: dict[str, np.ndarray] = {}

    def serve(self, endpoint="prod", version="2", *, ok=100, error=0, seconds=0.08, counted=100) -> None:
        """What the version did in the 15 seconds until the next evaluation."""
        labels = {"endpoint": endpoint, "model": "churn", "model_version": version}
        at = self.now.timestamp() + 14
        for status, count in (("ok", ok), ("error", error)):
            key = (endpoint, version, status)
            if key not in self.totals:
                self.source.add("model_predictions_total", {**labels, "status": status}, at - 14, 0)
            self.totals[key] = self.totals.get(key, 0) + count
            self.source.add("model_predictions_total", {**labels, "status": status}, at, self.totals[key])
        before = self.slow.get(endpoint + version)
        if before is None:
            before = np.zeros(len(SECONDS) + 1)
            self.source.add_histogram(
                "model_prediction_seconds", labels, at - 14, Histogram.of(SECONDS, before)
            )
        after = before + np.histogram([seconds] * counted, [-np.inf, *SECONDS, np.inf])[0]
        self.slow[endpoint + version] = after
        self.source.add_histogram("model_prediction_seconds", labels, at, Histogram.of(SECONDS, after))

    def evaluate(self, times: int = 1, **served) -> None:
        for _ in range(times):
            if served is not None and "nothing" not in served:
                self.serve(**served)
            self.now += EVERY
            evaluate_due(self.source, self.now)


@pytest.fixture
def fleet() -> Fleet:
    AlertRule.objects.all().delete()
    return Fleet()


@pytest.fixture
def target(db) -> NoticeTarget:
    return NoticeTarget.objects.create(name="chat", url="json://127.0.0.1", service="JSON", kinds=["alert"])


def rule(**changes) -> AlertRule:
    document = {
        "name": "errors",
        "series": "error_rate",
        "threshold": 0.02,
        "for_seconds": 30,
        "severity": "critical",
    }
    row = people.add_rule({**document, **changes}, actor=ADA)
    AlertRule.objects.filter(pk=row.pk).update(due_at=NOON)
    return row


def alert() -> Alert:
    return Alert.objects.get()


def told() -> list[str]:
    return list(Notice.objects.order_by("id").values_list("kind", flat=True))


def test_an_alert_fires_after_its_duration_and_resolves_when_the_series_is_good_again(fleet, target):
    rule()
    fleet.evaluate(2, ok=100)
    assert not Alert.objects.exists()
    fleet.evaluate(ok=50, error=50)
    assert alert().state == "pending" and told() == []
    fleet.evaluate(2, ok=50, error=50)
    assert alert().state == "firing" and alert().value > 0.02
    assert told() == ["alert.fired"]
    notice = Notice.objects.get()
    assert notice.title == "errors fires: prod v2"
    assert "error rate is" in notice.text and "2.0 % for 30 s" in notice.text
    assert notice.path == f"/alerts/{alert().pk}/" and notice.severity == "critical"
    fleet.evaluate(6, ok=1000)
    assert alert().state == "resolved" and alert().ended_at is not None
    assert told() == ["alert.fired", "alert.resolved"]
    assert list(AlertEvent.objects.exclude(kind="told").values_list("kind", flat=True)) == [
        "pending", "firing", "resolved",
    ]  # fmt: skip


def test_a_breach_that_did_not_last_leaves_no_trace(fleet, target):
    rule(for_seconds=600)
    fleet.evaluate(error=50)
    assert alert().state == "pending"
    fleet.evaluate(6, ok=5000)
    assert not Alert.objects.exists() and told() == []


def test_while_it_fires_one_alert_is_told_once_per_interval(fleet, target):
    rule(repeat_seconds=60)
    fleet.evaluate(8, ok=50, error=50)
    assert Alert.objects.count() == 1
    assert told() == ["alert.fired", "alert.firing"]


def test_what_somebody_has_in_hand_is_not_told_again_but_its_end_is(fleet, target):
    rule(repeat_seconds=60)
    fleet.evaluate(3, error=50)
    people.acknowledge(alert(), actor=ADA, comment="on it")
    fleet.evaluate(10, error=50)
    assert told() == ["alert.fired"]
    fleet.evaluate(6, ok=9000)
    assert told() == ["alert.fired", "alert.resolved"]
    assert "on it" in AlertEvent.objects.get(kind="acknowledged").text


def test_a_silence_keeps_quiet_until_it_ends(fleet, target):
    rule()
    people_now = fleet.now + timedelta(seconds=100)
    silence = people.AlertSilence.objects.create(
        matchers={"endpoint": "pr*"}, starts_at=NOON, ends_at=people_now, reason="works", created_by="ada"
    )
    fleet.evaluate(5, error=50)
    assert alert().state == "firing" and told() == []
    assert silence.ends_at > fleet.now
    fleet.evaluate(3, error=50)
    assert told() == ["alert.fired"], "it still fires when the silence ends"


def test_no_data_is_a_state_of_its_own_and_is_told(fleet, target):
    rule()
    fleet.evaluate(3, error=50)
    fleet.evaluate(12, nothing=True)
    assert alert().state == "no_data" and alert().ended_at is None
    assert told() == ["alert.fired", "alert.no_data"]
    assert AlertRule.objects.get().health == "no_data"
    fleet.evaluate(2, error=50)
    assert alert().state == "firing"
    assert told() == ["alert.fired", "alert.no_data"], "it never was over"


def test_a_provider_that_is_away_resolves_nothing_and_forgets_no_pending_breach(fleet, target):
    rule(for_seconds=40)
    fleet.evaluate(1, error=50)
    fleet.source.outage = "switched off"
    fleet.evaluate(1, nothing=True)
    row = AlertRule.objects.get()
    assert (row.health, alert().state) == ("error", "pending")
    assert "switched off" in row.note
    fleet.source.outage = None
    fleet.evaluate(2, error=50)
    assert alert().state == "firing"
    fleet.source.outage = "switched off"
    fleet.evaluate(1, nothing=True)
    assert alert().state == "no_data"


def test_too_few_requests_are_no_data(fleet):
    rule(min_samples=500, for_seconds=0)
    fleet.evaluate(1, ok=0, error=50)
    assert not Alert.objects.exists()
    assert AlertRule.objects.get().health == "no_data"


def test_a_rule_is_about_the_endpoint_and_the_model_that_it_names(fleet):
    rule(endpoint="other", for_seconds=0)
    rule(name="mine", endpoint="prod", model="churn", for_seconds=0)
    fleet.evaluate(2, error=50)
    assert [row.rule.name for row in Alert.objects.all()] == ["mine"]


def test_each_version_and_endpoint_has_its_own_alert(fleet):
    rule(for_seconds=0)
    fleet.serve("prod", "1", error=50)
    fleet.serve("stage", "2", error=50)
    fleet.evaluate(error=50)
    found = sorted(Alert.objects.values_list("endpoint", "version"))
    assert found == [("prod", "1"), ("prod", "2"), ("stage", "2")]


def test_latency_is_compared_in_milliseconds(fleet):
    rule(name="slow", series="latency", threshold=200, for_seconds=0)
    fleet.evaluate(2, seconds=0.08)
    assert not Alert.objects.exists()
    fleet.evaluate(6, seconds=0.4)
    assert 300 < alert().value <= 500


def test_gauges_and_counters_of_any_name_can_be_watched(fleet):
    rule(name="depth", series="gauge", metric="model_queue_depth", threshold=50, for_seconds=0)
    rule(name="hits", series="rate", metric="model_cache_requests_total", threshold=1, for_seconds=0)
    labels = {"endpoint": "prod", "model": "churn", "model_version": "2"}
    for second, value in ((0, 0.0), (14, 90.0)):
        fleet.source.add("model_queue_depth", labels, NOON.timestamp() + second, value)
        fleet.source.add("model_cache_requests_total", labels, NOON.timestamp() + second, value)
    fleet.evaluate(nothing=True)
    assert {row.rule.name: row.value for row in Alert.objects.all()} == {"depth": 90.0, "hits": 1.5}


@pytest.mark.parametrize("series", ["psi_input", "kl_input"])
def test_drift_is_measured_against_the_profile_of_the_version(fleet, series):
    model = Model.objects.create(name="churn", last_number=2)
    item = {
        "name": "age",
        "tensor": "x",
        "column": 0,
        "kind": "numeric",
        "edges": [30.0, 60.0],
        "counts": [50, 30, 20],
    }
    profile = {"schema": 1, "rows": 100, "inputs": [item], "outputs": []}
    Version.objects.create(
        model=model, number=2, digest="sha256:" + "0" * 64, size=1, format="onnx", profile=profile
    )
    rule(name="drift", series=series, threshold=0.2, for_seconds=0, window_seconds=60)
    labels = {"endpoint": "prod", "model": "churn", "model_version": "2", "feature": "age"}

    def see(counts):
        for second, factor in ((0, 0), (14, 1)):
            histogram = Histogram.of([30.0, 60.0], np.array(counts) * factor)
            fleet.source.add_histogram("model_input_value", labels, fleet.now.timestamp() + second, histogram)
        fleet.evaluate(nothing=True)

    see([500, 300, 200])
    assert not Alert.objects.exists()
    fleet.now += timedelta(hours=2)
    AlertRule.objects.update(due_at=fleet.now)
    see([100, 200, 700])
    assert (alert().column, alert().state) == ("age", "firing")
    assert alert().value > 0.2


def test_rules_over_the_same_window_share_their_questions(fleet, monkeypatch):
    for number in range(10):
        rule(name=f"errors_{number}", threshold=0.01 * (number + 1))
        rule(
            name=f"slow_{number}",
            series="latency",
            threshold=100.0 * (number + 1),
            quantile=0.5 + number / 100,
        )
    for endpoint in range(30):
        fleet.serve(f"e{endpoint}")
    asked = []
    for name in ("increase", "histogram"):
        real = getattr(fleet.source, name)
        monkeypatch.setattr(fleet.source, name, lambda *a, _real=real, **k: asked.append(a) or _real(*a, **k))
    fleet.evaluate()
    assert len(asked) == 2


def test_a_rule_that_is_off_is_not_evaluated_and_ends_its_alerts(fleet, target):
    rule()
    fleet.evaluate(3, error=50)
    people.change_rule("errors", {}, actor=ADA, reason="noisy", enabled=False)
    assert alert().state == "expired" and alert().ended_at is not None
    fleet.evaluate(3, error=50)
    assert Alert.objects.count() == 1


def test_two_evaluations_at_once_do_the_work_once(fleet, target):
    rule(for_seconds=0)
    fleet.serve(error=50)
    fleet.now += EVERY
    assert [evaluate_due(fleet.source, fleet.now) for _ in range(3)] == [1, 0, 0]
    assert told() == ["alert.fired"]


def test_a_rule_that_breaks_keeps_no_other_from_being_evaluated(fleet, caplog):
    rule(name="a_bad_one", for_seconds=0)
    AlertRule.objects.update(document={"nonsense": 1})
    rule(for_seconds=0)
    fleet.evaluate(1, error=50)
    assert alert().rule.name == "errors"
    assert AlertRule.objects.get(name="a_bad_one").health == "error"


def test_old_alerts_are_forgotten(fleet):
    rule(for_seconds=0)
    fleet.evaluate(1, error=50)
    fleet.evaluate(6, ok=9000)
    assert forget_old(fleet.now + timedelta(days=80)) == 0
    assert forget_old(fleet.now + timedelta(days=91)) > 0
    assert not Alert.objects.exists()
