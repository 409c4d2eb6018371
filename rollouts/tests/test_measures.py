"""What Prometheus is told of rollouts, read from rows that real ticks wrote."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from monitoring.domain.judge import Verdict
from rollouts import reconcile, services
from rollouts.measures import families
from rollouts.models import Endpoint
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(endpoint, ports, monkeypatch) -> Driver:
    driver = Driver(endpoint, ports)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    return driver


def release(driver, version, author, ending, verdict):
    driver.verdict = verdict
    services.start_rollout(
        endpoint=driver.endpoint,
        version=version,
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="r",
    )
    driver.now = timezone.now()
    return driver.until(ending)


@pytest.fixture
def scrape(people):
    """The parsed answer of `/metrics`: {(name, labels…): value}."""

    def scraped(accept: str = "") -> dict:
        client = APIClient()
        client.force_authenticate(people["viewer"])
        answer = client.get("/metrics", headers={"Accept": accept} if accept else {})
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain")
        return {
            (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.content.decode())
            for sample in family.samples
        }

    return scraped


def test_phases_endings_durations_and_failures_are_those_of_the_rows(driver, versions, author, scrape):
    release(driver, versions[1], author, "succeeded", Verdict.PASS)
    bad = release(driver, versions[2], author, "rolled_back", Verdict.FAIL)
    release(driver, versions[2], author, "progressing", Verdict.NO_DATA)
    seen = scrape()
    place = ("environment=production", "strategy=canary")
    for ending in ("succeeded", "rolled_back"):
        assert seen["slipway_rollouts_ended_total", f"ending={ending}", *place] == 1
    assert seen["slipway_rollouts", "environment=production", "phase=progressing"] == 1
    assert seen["slipway_change_failure_ratio", "environment=production"] == 0.5
    took = (bad.finished_at - bad.rolling_back_since).total_seconds()
    assert seen["slipway_rollback_duration_seconds_sum", "strategy=canary"] == pytest.approx(took)
    assert seen["slipway_rollback_duration_seconds_count", "strategy=canary"] == 1
    assert seen["slipway_rollback_duration_seconds_bucket", "le=0.25", "strategy=canary"] == float(
        took <= 0.25
    )
    assert seen["slipway_rollback_duration_seconds_bucket", "le=+Inf", "strategy=canary"] == 1
    assert seen["slipway_rollout_duration_seconds_count", "strategy=canary"] == 2


def test_an_active_rollout_shows_its_share_its_verdict_and_its_gates(driver, versions, author, scrape):
    rollout = release(driver, versions[1], author, "holding", Verdict.NO_DATA)
    look = rollout.look_log.first()
    gates = [{**gate, "value": 0.031, "limit": 0.005} for gate in look.judgement["gates"]]
    type(look).objects.create(
        rollout=rollout, number=look.number + 1, at=look.at, step=look.step, verdict="inconclusive",
        judgement={**look.judgement, "gates": gates},
    )  # fmt: skip
    seen = scrape()
    named = ("endpoint=churn-production", f"rollout={rollout.pk}")
    assert seen["slipway_candidate_weight_ratio", *named] == 0.05
    assert seen["slipway_verdicts", "verdict=inconclusive"] == 1
    assert seen["slipway_gate_value", named[0], "gate=errors", named[1]] == 0.031
    assert seen["slipway_gate_limit", named[0], "gate=errors", named[1]] == 0.005


def test_ticks_that_do_not_come_show_as_lag(driver, scrape):
    Endpoint.objects.update(look_at=timezone.now() - timedelta(seconds=90))
    seen = scrape()
    assert 90 <= seen["slipway_tick_lag_seconds",] < 120
    assert seen["slipway_ticks_due",] == 1


def test_the_number_of_queries_does_not_depend_on_the_number_of_rollouts(
    driver, versions, author, django_assert_num_queries
):
    def measured():
        return [len(family.samples) for family in families(timezone.now())]

    with django_assert_num_queries(7):
        measured()
    release(driver, versions[1], author, "succeeded", Verdict.PASS)
    release(driver, versions[2], author, "progressing", Verdict.NO_DATA)
    with django_assert_num_queries(7):
        measured()


def test_nobody_without_a_role_reads_them(people):
    client = APIClient()
    assert client.get("/metrics").status_code == 401
    client.force_authenticate(people["outsider"])
    assert client.get("/metrics").status_code == 403
