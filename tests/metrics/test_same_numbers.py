"""One exposition, scraped by a real Prometheus and by the embedded scraper: the same numbers."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitoring.adapters.prometheus import PrometheusSource
from monitoring.adapters.prometheus.client import Access
from monitoring.adapters.scrape import ScrapeSource
from monitoring.adapters.scrape.collect import Collector, Fetched, fetch_all, self_page
from monitoring.adapters.scrape.scraper import SELF, _open_session
from monitoring.adapters.scrape.store import Store
from monitoring.adapters.scrape.targets import Target
from monitoring.domain.series import extrapolated_increase
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.models import Scrape, ScrapeTarget
from tests.metrics.fleet import Server
from tests.servers.fixtures import entered
from tests.servers.pages import Page
from tests.servers.prometheus import Prometheus

pytestmark = [pytest.mark.stack, pytest.mark.django_db]
EVERY, SECONDS = 0.25, 8.0
RATE = 50.0


class Both:
    """The two stores over the same pages, and the window in which both scraped."""

    def __init__(self, prometheus: Prometheus, start: float, end: float, own_gap: float) -> None:
        self.prometheus, self.own_gap = prometheus, own_gap
        self.window = Window(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
        self.sources = {
            "prometheus": PrometheusSource(Access(prometheus.url), scrape_interval=EVERY),
            "scrape": ScrapeSource(EVERY),
        }

    def ask(self, method, metric, by, **where):
        return {
            name: getattr(source, method)(
                metric, by=by, where={"endpoint": "prod", **where}, window=self.window
            )
            for name, source in self.sources.items()
        }

    def slack(self) -> float:
        """Requests by which two honest scrapers may differ: of two replicas each may miss a scrape at both
        edges of the window and one at a restart, and on a busy machine scrapes are as far apart as they were."""
        rows = self.raw('model_predictions_total{endpoint="prod"}')
        apart = max(float(np.diff(times).max()) for _, times, _ in rows if len(times) > 1)
        return 2 * 3 * max(EVERY, apart, self.own_gap) * RATE

    def raw(self, selector: str) -> list[tuple[dict[str, str], np.ndarray, np.ndarray]]:
        """The samples that Prometheus stored, by series."""
        seconds = f"{round(self.window.seconds * 1000)}ms"
        rows = self.sources["prometheus"]._client.instant(
            f"{selector}[{seconds}]", self.window.end.timestamp(), list
        )
        return [(row["metric"], *np.array(row["values"], dtype=float).T) for row in rows]


@pytest.fixture(scope="module")
def scraped(django_db_setup, django_db_blocker, request):
    """Two replicas of version 1, one of which restarts; one of version 2; version 3 breaks down."""
    servers = [Server("prod", version, RATE, 0.1) for version in ("1", "1", "3", "2")]
    pages = [entered(request, Page(server.text)) for server in servers]
    targets = [Target(page.address, {"job": "servers"}) for page in pages]
    groups = [{"targets": [page.address], "labels": {"job": "servers"}} for page in pages]
    prometheus = entered(request, Prometheus(groups, interval=EVERY))
    prometheus.until_scraping()
    with django_db_blocker.unblock(), asyncio.Runner() as runner:
        start, own_gap = _scrape(runner, targets, servers, pages[2])
        yield Both(prometheus, round(start, 3), round(time.time() - 2 * EVERY, 3), own_gap)
        Scrape.objects.all().delete()
        ScrapeTarget.objects.all().delete()


def _scrape(runner, targets, servers, doomed) -> tuple[float, float]:
    """Scrapes like `manage.py scrape` for SECONDS; when the quiet part before began, and the longest pause."""
    session = runner.run(_open_session())
    store, collector = Store(), Collector()
    began = time.time()
    restarted = gone = False
    last, longest = began, 0.0
    while (age := time.time() - began) < SECONDS:
        if age > SECONDS / 2 and not restarted:
            servers[0].restart()
            restarted = True
        if age > SECONDS / 2 and not gone:
            doomed.respond = lambda path, body: (500, b"broken")
            gone = True
        at = time.time()
        last, longest = at, max(longest, at - last)
        fetched = runner.run(fetch_all(session, targets, at, EVERY))
        store.add(collector.samples([*fetched, Fetched(SELF, at, self_page(fetched, 0.01))]))
        time.sleep(max(0.0, at + EVERY - time.time()))
    runner.run(session.close())
    return began + 1.0, longest


def test_increases_agree_within_the_scrapes_at_the_edges(scraped):
    found = scraped.ask("increase", "model_predictions_total", ("model_version", "status"))
    assert set(found["prometheus"]) == set(found["scrape"])
    slack = scraped.slack()
    for group, value in found["scrape"].items():
        assert found["prometheus"][group] == pytest.approx(value, abs=slack), group
    assert found["scrape"]["2", "ok"] == pytest.approx(0.9 * RATE * scraped.window.seconds, abs=slack)


def test_prometheus_own_increase_is_the_documented_extrapolation_of_its_samples(scraped):
    start, end = scraped.window.start.timestamp(), scraped.window.end.timestamp()
    expected: dict[tuple[str, str], float] = {}
    for labels, times, values in scraped.raw('model_predictions_total{endpoint="prod"}'):
        gained = extrapolated_increase(times, values, start, end)
        group = (labels["model_version"], labels["status"])
        expected[group] = expected.get(group, 0.0) + (gained or 0.0)
    found = scraped.ask("increase", "model_predictions_total", ("model_version", "status"))["prometheus"]
    assert found == {group: pytest.approx(value, rel=1e-6) for group, value in expected.items()}


def test_bucket_counts_and_quantiles_agree(scraped):
    found = scraped.ask("histogram", "model_prediction_seconds", ("model_version",))
    slack = scraped.slack()
    for group, mine in found["scrape"].items():
        other = found["prometheus"][group]
        assert other.edges.tolist() == mine.edges.tolist()
        assert other.counts.tolist() == pytest.approx(mine.counts.tolist(), abs=slack)
        for quantile in (0.5, 0.9, 0.95):
            assert other.quantile(quantile) == pytest.approx(mine.quantile(quantile), rel=0.15)


def test_prometheus_own_quantile_is_ours(scraped):
    seconds = f"{round(scraped.window.seconds * 1000)}ms"
    query = (
        f'histogram_quantile(0.95, sum by (le) (increase(model_prediction_seconds_bucket{{model_version="2"}}'
        f"[{seconds}])))"
    )
    at = scraped.window.end.timestamp()
    theirs = scraped.sources["prometheus"]._client.instant(query, at, lambda rows: float(rows[0]["value"][1]))
    ours = scraped.ask("histogram", "model_prediction_seconds", ("model_version",))["prometheus"]["2",]
    assert ours.quantile(0.95) == pytest.approx(theirs, rel=1e-9)


def test_rates_per_step_agree(scraped):
    found = {
        name: source.rates(
            "model_predictions_total", by=("model_version",),
            where={"endpoint": "prod", "model_version": "2"}, window=scraped.window, step=1.0,
        )["2",].values
        for name, source in scraped.sources.items()
    }  # fmt: skip
    assert found["scrape"][2:] == pytest.approx([RATE] * len(found["scrape"][2:]), rel=0.3)
    assert found["prometheus"][2:] == pytest.approx([RATE] * len(found["prometheus"][2:]), rel=0.1)


def test_gauges_of_servers_that_are_gone_and_values_that_are_no_numbers_count_nowhere(scraped):
    depth = scraped.ask("latest", "model_queue_depth", ("model_version",))
    assert depth["scrape"] == depth["prometheus"] == {("1",): 6.0, ("2",): 3.0}
    nothing = scraped.ask("latest", "model_load_seconds", ("model_version",))
    assert nothing == {"scrape": {}, "prometheus": {}}


def test_a_window_before_anything_was_scraped_is_empty_or_an_outage_on_both(scraped):
    early = Window.last(10, scraped.window.start - timedelta(hours=2))
    for source in scraped.sources.values():
        with pytest.raises(MetricsUnavailable):
            source.increase("model_predictions_total", by=(), where={"endpoint": "prod"}, window=early)
