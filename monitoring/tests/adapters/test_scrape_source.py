"""What the embedded store promises beyond the port: nothing extrapolated, nothing lost at the edges."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError

from monitoring.adapters.scrape import ScrapeSource
from monitoring.adapters.scrape.collect import Collector, Fetched
from monitoring.adapters.scrape.retention import Retention
from monitoring.adapters.scrape.scraper import SELF
from monitoring.adapters.scrape.store import Store
from monitoring.adapters.scrape.targets import Target
from monitoring.domain.window import Window
from monitoring.errors import MetricsGone, MetricsUnavailable
from monitoring.models import Scrape, ScrapeLayout, ScrapeTarget
from monitoring.tests.exposition_builder import sample

pytestmark = pytest.mark.django_db
T0 = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
A = Target("a:1", {"job": "slipway-serving", "endpoint": "prod", "model_version": "1"})
B = Target("b:1", {"job": "slipway-serving", "endpoint": "prod", "model_version": "2"})
SELF_PAGE = "slipway_scrape_duration_seconds 0.001\n"


class Scraping:
    """A scraper without a network: `at` stores one cycle."""

    def __init__(self) -> None:
        self.restart()

    def restart(self, *targets: Target) -> None:
        self.store, self.collector = Store(), Collector()
        self.store.resume(targets, self.collector)

    def at(self, second: float, pages: dict[Target, str | None]) -> None:
        fetched = [Fetched(target, T0 + second, text) for target, text in pages.items()]
        self.store.add(self.collector.samples([*fetched, Fetched(SELF, T0 + second, SELF_PAGE)]))


@pytest.fixture
def scraping():
    return Scraping()


def ok(value: float, status: str = "ok") -> str:
    return sample("model_predictions_total", value, status=status)


def asked(start: float, end: float, by=("model_version", "status")):
    window = Window(datetime.fromtimestamp(T0 + start, UTC), datetime.fromtimestamp(T0 + end, UTC))
    return ScrapeSource().increase(
        "model_predictions_total", by=by, where={"endpoint": "prod"}, window=window
    )


def test_increases_are_whole_numbers(scraping):
    for second in range(20):
        scraping.at(second, {A: ok(3 * second)})
    assert asked(5.2, 15.7) == {("1", "ok"): 30.0}


def test_the_first_event_of_a_new_series_counts(scraping):
    for second in range(20):
        scraping.at(second, {A: ok(second) + (ok(1, "error") if second >= 10 else "")})
    assert asked(5.5, 15.5)[("1", "error")] == 1.0


def test_a_target_that_joined_a_running_scraper_counts_from_zero(scraping):
    for second in range(20):
        pages = {A: ok(second)} | ({B: ok(7 + second)} if second >= 10 else {})
        scraping.at(second, pages)
    assert asked(5.5, 15.5)[("2", "ok")] == 7 + 15


def test_a_target_that_was_still_starting_at_first_counts_from_zero_too(scraping):
    for second in range(20):
        page = None if second < 12 else ok(second)
        scraping.at(second, {A: ok(1)} | ({B: page} if second >= 10 else {}))
    assert asked(5.5, 15.5)[("2", "ok")] == 15


def test_a_scraper_that_starts_beside_running_targets_does_not_count_their_past(scraping):
    for second in range(20):
        scraping.at(second, {A: ok(1_000_000 + second)})
    assert asked(-5.5, 15.5)[("1", "ok")] == 15


def test_a_restart_of_the_scraper_loses_nothing(scraping):
    for second in range(10):
        scraping.at(second, {A: ok(second)})
    scraping.restart(A)
    for second in range(15, 20):
        scraping.at(second, {A: ok(second)})
    assert asked(5.5, 18.5)[("1", "ok")] == 13


def test_a_restart_of_the_target_while_the_scraper_was_away_is_noticed(scraping):
    for second in range(10):
        scraping.at(second, {A: ok(100 + second)})
    scraping.restart(A)
    for second in range(15, 20):
        scraping.at(second, {A: ok(second - 15)})
    assert asked(5.5, 18.5)[("1", "ok")] == 4 + 3


def test_a_target_that_is_down_is_seen_down_and_gauges_of_it_are_gone(scraping):
    for second in range(20):
        scraping.at(second, {A: ok(second) + "model_queue_depth 3\n" if second < 10 else None, B: ok(second)})
    window = Window.last(10, datetime.fromtimestamp(T0 + 19, UTC))
    ask = {"by": ("model_version",), "where": {"endpoint": "prod"}, "window": window}
    assert ScrapeSource().latest("up", **ask) == {("1",): 0.0, ("2",): 1.0}
    assert ScrapeSource().latest("model_queue_depth", **ask) == {}


def test_a_page_that_is_no_exposition_counts_as_down(scraping):
    scraping.at(0, {A: "<html>busy</html>"})
    assert Scrape.objects.get(target__address="a:1").up is False


def test_a_scraper_that_stands_still_is_an_outage_not_silence(scraping):
    for second in range(5):
        scraping.at(second, {A: ok(second)})
    with pytest.raises(MetricsUnavailable, match="stored nothing"):
        asked(30, 60)


def test_a_time_in_which_the_scraper_did_not_run_is_gone_once_it_runs(scraping):
    for second in (100, 101):
        scraping.at(second, {A: ok(second)})
    with pytest.raises(MetricsGone, match="Jan 01, 12:00:30 UTC: the scraper did not run then"):
        asked(0, 30)


def test_a_failing_database_is_an_outage(scraping, monkeypatch):
    def refuse(*args):
        raise DatabaseError("disk I/O error")

    scraping.at(0, {A: ok(0)})
    monkeypatch.setattr("monitoring.adapters.scrape.read.targets", refuse)
    with pytest.raises(MetricsUnavailable, match="disk I/O error"):
        asked(-5, 0.5)


def test_a_clock_that_is_set_back_leaves_no_future_behind(scraping):
    for second in (100, 101, 102):
        scraping.at(second, {A: ok(second)})
    scraping.at(50, {A: ok(103)})
    assert Scrape.objects.filter(at__gt=T0 + 50).count() == 0
    scraping.at(51, {A: ok(104)})
    assert Scrape.objects.filter(target__address="a:1").count() == 2


def test_one_cycle_is_one_insert_whatever_the_number_of_targets(scraping, django_assert_num_queries):
    many = {Target(f"t{i}:1", {"endpoint": "prod", "i": str(i)}): ok(1) for i in range(40)}
    scraping.at(0, many)
    with django_assert_num_queries(3):  # savepoint, insert, release
        scraping.at(1, many)


def test_layouts_are_stored_once(scraping):
    for second in range(5):
        scraping.at(second, {A: ok(second), B: ok(second)})
    assert ScrapeLayout.objects.count() == 2  # the targets' and the scraper's own


@pytest.mark.parametrize(("start", "end"), [(0.5, 1800.5), (100.5, 700.5), (31.5, 76.5)])
def test_increases_over_thinned_history_are_as_before(scraping, start, end):
    for second in range(1801):
        value = second if second < 333 else 2 * (second - 333)
        scraping.at(second, {A: ok(value)})
    before, rows = asked(start, end), Scrape.objects.count()
    retention = Retention()
    while retention.step(T0 + 1800 + 900) or retention.step(T0 + 1800 + 900):
        pass
    assert Scrape.objects.count() < rows / 10
    after = asked(start, end)
    # At the edges of the window what two kept pages gained is spread over the 15 s between them.
    assert after[("1", "ok")] == pytest.approx(before[("1", "ok")], abs=2)
    assert Scrape.objects.filter(target__address="a:1", at__in=[T0 + 332, T0 + 333]).count() == 2


def test_thinning_twice_deletes_nothing_more(scraping):
    for second in range(400):
        scraping.at(second, {A: ok(second)})
    for _ in range(2):
        retention = Retention()
        for _ in range(20):
            retention.step(T0 + 2000)
        rows = Scrape.objects.count()
    assert rows == Scrape.objects.count()
    assert 2 * 27 <= rows <= 2 * 29


def test_what_is_older_than_a_week_goes_and_takes_its_target_along(scraping):
    scraping.at(0, {A: ok(0)})
    week = 7 * 86400
    scraping.at(week + 10, {B: ok(0)})
    retention = Retention()
    while retention.step(T0 + week + 10):
        pass
    retention.sweep(T0 + week + 10)
    assert list(ScrapeTarget.objects.exclude(job="slipway-scraper").values_list("address", flat=True)) == [
        "b:1"
    ]


def test_recent_history_stays_dense(scraping):
    for second in range(100):
        scraping.at(second, {A: ok(second)})
    assert Retention().step(T0 + 300) == 0


def test_a_query_reads_few_rows_however_long_the_window(scraping, django_assert_max_num_queries):
    for second in range(300):
        scraping.at(second, {A: ok(second), B: ok(second)})
    with django_assert_max_num_queries(5):
        asked(0.5, 299.5)
