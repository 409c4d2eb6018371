"""What charts and gates read from history of which the scraper keeps a page per 15 s only.

A scraper without a network and with a clock of its own: 200 requests/s to the stable version, of which from
second 300 on a quarter go to the candidate, which fails every tenth request.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from monitoring.adapters.scrape import ScrapeSource
from monitoring.adapters.scrape.retention import Retention
from monitoring.adapters.scrape.targets import Target
from monitoring.domain.charts import chart_step
from monitoring.domain.histogram import Histogram
from monitoring.domain.window import Window
from monitoring.models import Scrape
from monitoring.tests.adapters.test_scrape_source import T0, Scraping
from monitoring.tests.exposition_builder import buckets, sample

pytestmark = pytest.mark.django_db
STABLE, CANDIDATE = (
    Target(f"{name}:1", {"job": "slipway-serving", "endpoint": "prod", "model_version": name})
    for name in "12"
)
JITTER = np.random.default_rng(7).uniform(0, 0.05, 700)


def page(requests: float, bad: float, edges: list[float], shares: list[float]) -> str:
    seen = Histogram.of(edges, requests * np.array(shares))
    return (
        sample("model_predictions_total", 1000 + requests - bad, status="ok")
        + sample("model_predictions_total", bad, status="error")
        + buckets("model_prediction_seconds", seen)
    )


@pytest.fixture
def thinned():
    """Ten minutes of pages; called, it lets all of them grow old."""
    scraping = Scraping()
    for second in range(601):
        at = second + float(JITTER[second])
        late = max(0.0, at - 300)
        pages = {
            STABLE: page(200 * at - 50 * late, 0, [0.01, 0.1], [0.5, 0.5, 0]),
            CANDIDATE: page(50 * late, 5 * late, [0.01, 0.1], [0, 0.5, 0.5]),
        }
        scraping.at(at, pages)

    def age() -> None:
        retention, rows = Retention(), Scrape.objects.count()
        for _ in range(40):
            retention.step(T0 + 3600)
        assert Scrape.objects.count() < rows / 10

    return age


def asked(start: float, end: float) -> dict[str, object]:
    window = Window(datetime.fromtimestamp(T0 + start, UTC), datetime.fromtimestamp(T0 + end, UTC))
    return {"by": ("model_version", "status"), "where": {"endpoint": "prod"}, "window": window}


def test_a_chart_shows_the_same_rates_and_quantiles_before_and_after_thinning(thinned):
    for grow_old in (lambda: None, thinned):
        grow_old()
        for start, end in ((320.3, 420.3), (310.0, 590.0), (20.5, 590.5)):
            the_chart_is_true(asked(start, end), chart_step(end - start))


def the_chart_is_true(about, step):
    times = about["window"].grid(step) - T0
    late = np.clip(times - 300, 0, step) / step
    truth = {("1", "ok"): 200 - 50 * late, ("2", "ok"): 45 * late, ("2", "error"): 5 * late}
    # Which of the 15 s between two pages saw the split change is not known any more.
    settled = abs(times - 300) > 16 + step
    rates = ScrapeSource().rates("model_predictions_total", step=step, **about)
    for group, expected in truth.items():
        assert rates[group].values[settled] == pytest.approx(expected[settled], rel=0.01, abs=0.01)
        assert not np.isnan(rates[group].values).any(), "the lines have no gaps"
    about = {**about, "by": ("model_version",)}
    latency = ScrapeSource().histogram_series("model_prediction_seconds", step=step, **about)
    stable, candidate = (latency[version,].quantiles(0.25).values for version in "12")
    assert stable == pytest.approx(0.005) and candidate[times > 316 + step] == pytest.approx(0.055)


def test_a_window_of_old_history_holds_what_was_counted_in_it_however_short_it_is(thinned):
    thinned()
    for start, end in ((307.3, 400.9), (331.4, 341.4), (331.4, 346.2)):
        seconds, about = end - start, asked(start, end)
        found = ScrapeSource().increase("model_predictions_total", **about)
        truth = {("1", "ok"): 150 * seconds, ("2", "error"): 5 * seconds, ("2", "ok"): 45 * seconds}
        assert {group: found[group] for group in truth} == pytest.approx(truth, rel=0.05)
        about["by"] = ("model_version",)
        seen = ScrapeSource().histogram("model_prediction_seconds", **about)
        assert seen[("2",)].counts.tolist() == pytest.approx([0, 25 * seconds, 25 * seconds], rel=0.05)


def test_the_time_a_process_was_down_stays_a_gap():
    scraping = Scraping()
    for second in range(700, 760):
        scraping.at(second, {STABLE: None if 720 <= second < 745 else page(second, 0, [0.1], [1, 0])})
    found = ScrapeSource().rates("model_predictions_total", step=2, **asked(702, 758))[("1", "ok")]
    gap = np.isnan(found.values)
    assert gap.sum() in (11, 12) and not gap[:8].any() and not gap[-5:].any()
