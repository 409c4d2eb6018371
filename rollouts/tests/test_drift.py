"""The page and the route of drift, and the duty that measures it."""

import time
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from monitoring.domain.drift.assessment import measure, ranked
from monitoring.domain.histogram import Histogram
from monitoring.errors import MetricsUnavailable
from monitoring.models import Chore, DriftReading
from monitoring.samples.ingest import take_labels, take_predictions
from monitoring.tests.samples.records import label, prediction
from registry.domain.profile import Column, build_item
from rollouts import tasks
from rollouts.tests.web_cast import sign_in

URL, PAGE = "/api/v1/endpoints/churn-production/drift", "/endpoints/churn-production/drift"


@pytest.fixture
def readings(endpoint):
    rng = np.random.default_rng(0)
    items = [build_item(Column(name, "X", 0, rng.normal(size=2000))) for name in ("age", "spend<b>")]
    hour = time.time() // 3600 * 3600
    for ago in (2, 1, 0):
        columns = ranked(
            measure(item, "inputs", Histogram.of(item["edges"], rng.multinomial(1000, shares)), 2)
            for item, shares in zip(items, ([0.1] * 10, [0.3, 0.3, *[0.05] * 8]), strict=True)
        )
        DriftReading.objects.create(
            endpoint=endpoint.name, model="churn", version="1", start=hour - 3600 * (ago + 1),
            at=hour - 3600 * ago, state="drifted", drifted=1, columns=[c.to_dict() for c in columns],
        )  # fmt: skip
    return DriftReading.objects.order_by("at")


def client_of(people, name):
    client = APIClient(raise_request_exception=False)
    if name:
        client.force_authenticate(people[name])
    return client


def test_the_newest_reading_of_each_version_over_rest(people, readings):
    body = client_of(people, "viewer").get(URL).json()
    (item,) = body["items"]
    assert (item["version"], item["state"], item["drifted"]) == ("1", "drifted", 1)
    assert [column["name"] for column in item["columns"]] == ["spend<b>", "age"]


def test_the_history_of_a_version_over_rest(people, readings):
    items = client_of(people, "viewer").get(URL, {"version": "1"}).json()["items"]
    assert [item["end"] for item in items] == sorted(item["end"] for item in items)
    assert len(items) == 3
    assert client_of(people, "viewer").get(URL, {"version": "9"}).json() == {"items": []}


def test_the_page_ranks_the_columns_and_draws_them(client, people, readings):
    page = sign_in(client, "viewer").get(PAGE)
    text = page.content.decode()
    assert page.status_code == 200
    assert text.index("spend&lt;b&gt;") < text.index(">age<")
    assert "PSI of age" in text
    assert "<svg" in text


def test_before_the_first_reading_the_page_says_when_it_comes(client, endpoint):
    page = sign_in(client, "viewer").get(PAGE)
    assert (page.status_code, b"Nothing was measured yet" in page.content) == (200, True)


@pytest.mark.parametrize(("who", "status"), [("viewer", 200), ("outsider", 403), (None, 401)])
def test_who_may_see_drift(people, endpoint, who, status):
    assert client_of(people, who).get(URL).status_code == status


def test_a_tick_does_the_duties_that_are_due_and_survives_one_that_fails(endpoint, monkeypatch):
    done = []
    type(endpoint).objects.update(created_at=timezone.now() - timedelta(hours=3))
    monkeypatch.setattr(tasks.drifting, "measure_all", lambda source, now: 1 / 0)
    monkeypatch.setattr(tasks.samples_retention, "trim", lambda now: done.append("samples"))
    call_command("tick", "--once")
    assert done == ["samples"]
    assert Chore.objects.count() == len(tasks.duties())
    call_command("tick", "--once")
    assert done == ["samples"], "not due again so soon"


def test_metrics_that_do_not_answer_are_no_drift(endpoint, monkeypatch, caplog):
    def down(source, now):
        raise MetricsUnavailable("gone")

    monkeypatch.setattr(tasks.drifting, "measure_all", down)
    tasks.do_duty("drift")
    assert "gone" not in caplog.text, "no endpoint was there in the last whole hour"
    type(endpoint).objects.update(created_at=timezone.now() - timedelta(hours=3))
    tasks.do_duty("drift")
    assert not DriftReading.objects.exists()
    assert "gone" in caplog.text


QUALITY_URL, QUALITY = "/api/v1/endpoints/churn-production/quality", "/endpoints/churn-production/quality"


@pytest.fixture
def labelled(endpoint):
    now = time.time()
    ids = [f"r{number}" for number in range(20)]
    for version in ("1", "2"):
        records = [prediction(key, version, at=now - 5, outputs={"probability": [0.2, 0.8]}) for key in ids]
        take_predictions(records, now)
    take_labels([label(key, number < 15, name="churned") for number, key in enumerate(ids)], now)


def test_how_right_each_version_was_is_drawn_and_answered(client, people, labelled):
    tasks.do_duty("concept")
    text = sign_in(client, "viewer").get(QUALITY).content.decode()
    assert "Accuracy of churned" in text
    assert "version 2" in text
    items = client_of(people, "viewer").get(QUALITY_URL, {"name": "churned"}).json()["items"]
    assert [(item["version"], item["n"], item["metrics"]["accuracy"]) for item in items] == [
        ("1", 20, 0.75), ("2", 20, 0.75),
    ]  # fmt: skip
    assert client_of(people, "viewer").get(QUALITY_URL, {"name": "other"}).json() == {"items": []}


def test_without_labels_the_page_says_where_to_send_them(client, endpoint):
    page = sign_in(client, "viewer").get(QUALITY)
    assert (page.status_code, b"/api/v1/labels" in page.content) == (200, True)
    assert b"No label has arrived." in page.content


def test_labels_that_wait_for_sampling_are_counted_and_the_page_says_how_to_sample(client, endpoint):
    now = time.time()
    take_labels([label(f"r{number}", True) for number in range(600)], now)
    page = sign_in(client, "viewer").get(QUALITY).content.decode()
    assert "600 labels of churn-production arrived and wait" in page
    assert "SLIPWAY_SERVING_SAMPLE_URL" in page
    take_predictions([prediction("other", "1", at=now - 5)], now)
    page = sign_in(client, "viewer").get(QUALITY).content.decode()
    assert "None of the 600 labels of churn-production" in page and "SAMPLE_URL" not in page
