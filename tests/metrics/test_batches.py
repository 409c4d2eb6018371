"""How many requests a real Prometheus gets: as many for 500 endpoints as for one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from monitoring.adapters.cached import ask_together
from monitoring.adapters.prometheus import PrometheusSource
from monitoring.adapters.prometheus.client import Access
from monitoring.alerting.evaluate import evaluate_due
from monitoring.analysis import Subject, judge, questions
from monitoring.domain.judge import DEFAULT_GATES, parse_gates
from monitoring.domain.window import Window
from monitoring.models import AlertRule
from monitoring.queries.overview import endpoints_overview
from tests.metrics.fleet import Server
from tests.servers.fixtures import entered
from tests.servers.pages import Page, Proxy
from tests.servers.prometheus import Prometheus

pytestmark = pytest.mark.stack
ENDPOINTS = [f"e{number}" for number in range(500)]
GATES = parse_gates(DEFAULT_GATES)
SIZES = (1, 50, 500)


@pytest.fixture(scope="module")
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """In front of a Prometheus that scrapes 500 endpoints with two versions each."""
    servers = [Server(name, version, 40.0, 0.02) for name in ENDPOINTS for version in ("1", "2")]
    page = entered(request, Page(lambda: "".join(server.text() for server in servers)))
    prometheus = entered(request, Prometheus([{"targets": [page.address]}], interval=2.0))
    prometheus.until_scraping()
    time.sleep(7)
    yield entered(request, Proxy(prometheus.url))


@pytest.fixture
def source(proxy: Proxy) -> PrometheusSource:
    proxy.asked.clear()
    return PrometheusSource(Access(proxy.url, timeout=30), scrape_interval=2.0)


def subjects(count: int, now: datetime) -> list[Subject]:
    """Each with a window of its own, as rollouts have that began at different times."""
    profile = {"outputs": [{"name": "y", "kind": "numeric", "edges": [1.0], "counts": [1, 1]}]}
    return [
        Subject(name, "1", "2", Window(now - timedelta(seconds=6 + 0.01 * index), now), profile=profile)
        for index, name in enumerate(ENDPOINTS[:count])
    ]


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (50, 1), (200, 1), (500, 3)])
def test_the_looks_of_many_rollouts_are_one_request_per_metric_family(proxy, source, count, parts):
    now = datetime.now(UTC)
    due = subjects(count, now)
    together = ask_together(source, [q for subject in due for q in questions(GATES, subject, now)])
    judged = [judge(GATES, subject, together, now) for subject in due]
    assert len(proxy.asked) == 3 * parts, "requests, latencies, outputs; a part per 200 rollouts"
    gates = {gate.name: gate for gate in judged[-1].gates}
    assert gates["errors"].n and gates["errors"].n > 100
    assert gates["latency_p95"].value


def test_asked_together_or_alone_the_answers_are_the_same(source):
    now = datetime.now(UTC)
    for subject in subjects(3, now):
        asked = questions(GATES, subject, now)
        together = ask_together(source, [*asked, *questions(GATES, subjects(9, now)[-1], now)])
        assert judge(GATES, subject, together, now) == judge(GATES, subject, source, now)


@pytest.mark.parametrize("count", SIZES)
def test_the_overview_of_many_endpoints_is_as_many_requests_as_that_of_one(proxy, source, count):
    found = endpoints_overview(source, ENDPOINTS[:count], Window.last(6, datetime.now(UTC)))
    assert len(proxy.asked) == 2
    assert len(found) == count
    last = found[ENDPOINTS[count - 1]]
    assert last.per_second == pytest.approx(80, rel=0.2)
    assert last.error_rate == pytest.approx(0.02, abs=0.01)
    assert last.p95 and 0.04 < last.p95 < 0.06


@pytest.mark.django_db
def test_the_default_alert_rules_over_500_endpoints_are_six_requests(proxy, source):
    assert evaluate_due(source, timezone.now()) == 6
    assert len(proxy.asked) == 6, "requests, latencies; inputs and outputs, each as numbers and as classes"
    health = dict(AlertRule.objects.values_list("name", "health"))
    assert (health["latency_p95"], health["error_rate"], health["input_psi"]) == ("ok", "ok", "no_data")
    assert AlertRule.objects.get(name="latency_p95").watched == 1000
