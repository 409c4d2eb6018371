"""One suite for every MetricsSource: the same pages, the same answers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitoring.domain.histogram import Histogram
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.tests.exposition_builder import buckets, sample
from monitoring.tests.stores import Feed, MemoryStore, PrometheusStore, ScrapeStore

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
WHERE = {"endpoint": "prod"}
STORES = [
    pytest.param(MemoryStore, id="memory"),
    pytest.param(ScrapeStore, id="scrape", marks=pytest.mark.django_db),
    pytest.param(PrometheusStore, id="prometheus"),
]
pytestmark = pytest.mark.parametrize("store_class", STORES)


@pytest.fixture
def load(store_class, tmp_path, request):
    """A function from a feed to a source that holds it."""
    store = store_class(tmp_path)
    request.addfinalizer(store.close)
    return store.load


def window(start: float, end: float) -> Window:
    at = datetime.fromtimestamp(T0, UTC)
    return Window(at + timedelta(seconds=start), at + timedelta(seconds=end))


def counter(value, version="1", status="ok", **labels):
    return sample("model_predictions_total", value, model_version=version, status=status, **labels)


def steady(feed: Feed, rate: float, *, until: int = 120, target: str = "a:1", **labels: str) -> Feed:
    for second in range(until + 1):
        feed.page(target, T0 + second, counter(rate * second + 500, **labels), endpoint="prod")
    return feed


def test_an_increase_is_what_the_counter_gained_over_the_window(load):
    source = load(steady(Feed(), 4.0))
    found = source.increase(
        "model_predictions_total", by=("model_version",), where=WHERE, window=window(30.5, 90.5)
    )
    assert found == {("1",): pytest.approx(240, rel=0.01)}


def test_replicas_are_added_and_groups_kept_apart(load):
    feed = steady(Feed(), 4.0)
    steady(feed, 1.0, target="b:1")
    steady(feed, 3.0, target="c:1", version="2", status="error")
    source = load(feed)
    found = source.increase(
        "model_predictions_total", by=("model_version", "status"), where=WHERE, window=window(30.5, 90.5)
    )
    assert found == {("1", "ok"): pytest.approx(300, rel=0.01), ("2", "error"): pytest.approx(180, rel=0.01)}


def test_conditions_select_by_value_or_by_one_of_several(load):
    feed = steady(Feed(), 1.0)
    for target, version in (("b:1", "2"), ("c:1", "3")):
        steady(feed, 1.0, target=target, version=version)
    source, by = load(feed), ("model_version",)
    where = {"endpoint": "prod", "model_version": ["1", "3"]}
    found = source.increase("model_predictions_total", by=by, where=where, window=window(30.5, 90.5))
    assert set(found) == {("1",), ("3",)}
    nowhere = {"endpoint": "elsewhere"}
    assert source.increase("model_predictions_total", by=by, where=nowhere, window=window(30.5, 90.5)) == {}


def test_target_labels_are_merged_and_labels_of_the_series_win(load):
    feed = Feed()
    for second in range(121):
        page = counter(second, endpoint="mine") + sample("model_queue_depth", 2.0)
        feed.page("a:1", T0 + second, page, endpoint="prod", model="m")
    source = load(feed)
    found = source.increase(
        "model_predictions_total", by=("endpoint", "model"), where={}, window=window(30.5, 90.5)
    )
    assert set(found) == {("mine", "m")}
    depth = source.latest("model_queue_depth", by=("endpoint",), where=WHERE, window=window(30.5, 90.5))
    assert depth == {("prod",): 2.0}


def test_a_label_that_a_series_lacks_is_an_empty_group(load):
    found = load(steady(Feed(), 1.0)).increase(
        "model_predictions_total", by=("nothing",), where=WHERE, window=window(30.5, 90.5)
    )
    assert set(found) == {("",)}


def test_a_restarted_process_counts_from_zero(load):
    feed = Feed()
    for second in range(121):
        value = 1000 + 2 * second if second < 60 else 2 * (second - 60)
        feed.page("a:1", T0 + second, counter(value), endpoint="prod")
    found = load(feed).increase("model_predictions_total", by=(), where=WHERE, window=window(30.5, 90.5))
    # Two events fall between the last page before the restart and the restart itself.
    assert found == {(): pytest.approx(118, abs=2)}


def test_two_restarts_in_one_window_are_both_counted(load):
    feed = Feed()
    for second in range(121):
        feed.page("a:1", T0 + second, counter(5 * (second % 40)), endpoint="prod")
    found = load(feed).increase("model_predictions_total", by=(), where=WHERE, window=window(20.5, 100.5))
    assert found == {(): pytest.approx(390, rel=0.02)}


def test_a_window_without_samples_has_no_groups(load):
    source = load(steady(Feed(), 4.0, until=60).alive(T0 + 400))
    assert source.increase("model_predictions_total", by=(), where=WHERE, window=window(300.5, 390.5)) == {}
    assert source.increase("model_nothing_total", by=(), where=WHERE, window=window(10.5, 50.5)) == {}
    assert source.histogram("model_nothing", by=(), where=WHERE, window=window(10.5, 50.5)) == {}


def test_an_idle_counter_gained_nothing_which_is_not_no_data(load):
    found = load(steady(Feed(), 0.0)).increase(
        "model_predictions_total", by=(), where=WHERE, window=window(30.5, 90.5)
    )
    assert found == {(): 0.0}


def test_pages_that_arrive_out_of_order_change_nothing(load):
    feed = steady(Feed(), 4.0).late(T0 + 50, behind=T0 + 53).late(T0 + 70, behind=T0 + 71)
    found = load(feed).increase("model_predictions_total", by=(), where=WHERE, window=window(30.5, 90.5))
    assert found == {(): pytest.approx(240, rel=0.02)}


def test_a_series_that_is_missing_for_a_while_loses_nothing_that_it_counted(load):
    feed = Feed()
    for second in range(121):
        page = "" if 50 <= second < 60 else counter(4 * second)
        feed.page("a:1", T0 + second, page + sample("model_queue_depth", 1.0), endpoint="prod")
    found = load(feed).increase("model_predictions_total", by=(), where=WHERE, window=window(30.5, 90.5))
    assert found == {(): pytest.approx(240, rel=0.02)}


def test_a_replica_that_is_replaced_by_another_is_counted_to_its_end(load):
    feed = Feed()
    for second in range(121):
        old, new = second <= 60, second >= 60
        if old:
            feed.page("a:1", T0 + second, counter(4 * second + 100), endpoint="prod")
        if new:
            feed.page("b:1", T0 + second, counter(4 * (second - 60)), endpoint="prod")
    found = load(feed).increase("model_predictions_total", by=(), where=WHERE, window=window(30.5, 90.5))
    assert found == {(): pytest.approx(240, abs=8)}


def test_a_histogram_survives_a_restart(load):
    feed = Feed()
    for second in range(121):
        since = second if second < 60 else second - 60
        page = buckets("model_prediction_seconds", Histogram.of([0.1], [3.0 * since, 1.0 * since]))
        feed.page("a:1", T0 + second, page, endpoint="prod")
    found = load(feed).histogram("model_prediction_seconds", by=(), where=WHERE, window=window(30.5, 90.5))[
        ()
    ]
    assert found.counts.tolist() == pytest.approx([177, 59], rel=0.03)


def latency_feed(feed: Feed, target: str, edges: list[float], per_second: list[float]) -> Feed:
    for second in range(121):
        counts = np.array(per_second) * (second + 7)
        page = buckets("model_prediction_seconds", Histogram.of(edges, counts), model_version="1")
        feed.page(target, T0 + second, page, endpoint="prod")
    return feed


def test_a_histogram_holds_the_observations_of_the_window(load):
    source = load(latency_feed(Feed(), "a:1", [0.01, 0.1], [3, 2, 1]))
    found = source.histogram(
        "model_prediction_seconds", by=("model_version",), where=WHERE, window=window(30.5, 90.5)
    )[("1",)]
    assert found.edges.tolist() == [0.01, 0.1]
    assert found.counts.tolist() == pytest.approx([180, 120, 60], rel=0.01)
    assert found.quantile(0.5) == pytest.approx(0.01)


def test_replicas_with_other_edges_are_added_over_the_common_ones(load):
    feed = latency_feed(Feed(), "a:1", [0.01, 0.1, 1.0], [3, 2, 1, 1])
    latency_feed(feed, "b:1", [0.05, 0.1, 1.0], [10, 20, 30, 40])
    found = load(feed).histogram("model_prediction_seconds", by=(), where=WHERE, window=window(30.5, 90.5))[
        ()
    ]
    assert found.edges.tolist() == [0.1, 1.0]
    assert found.counts.tolist() == pytest.approx([35 * 60, 31 * 60, 41 * 60], rel=0.01)


def test_rates_are_per_second_at_the_end_of_each_step(load):
    feed = Feed()
    total = 0.0
    for second in range(121):
        total += 2.0 if second <= 60 else 8.0
        feed.page("a:1", T0 + second, counter(total), endpoint="prod")
    series = load(feed).rates(
        "model_predictions_total", by=("model_version",), where=WHERE, window=window(0.5, 120.5), step=15
    )[("1",)]
    assert series.times.tolist() == pytest.approx([T0 + 0.5 + 15 * i for i in range(1, 9)])
    # When between the pages of 60 and 61 s the faster ones came is not known.
    assert series.values[1:].tolist() == pytest.approx([2, 2, 2, 8, 8, 8, 8], rel=0.11)


def test_rates_and_quantiles_are_right_and_without_gaps_where_pages_are_farther_apart_than_steps(load):
    feed = Feed()
    for second in range(0, 181, 15):
        page = counter(4 * second + 500) + buckets(
            "model_prediction_seconds", Histogram.of([0.01, 0.1], [3.0 * second, second, 0])
        )
        feed.page("a:1", T0 + second + second % 4 / 10, page, endpoint="prod")
    source, asked = load(feed, 15.0), {"by": (), "where": WHERE, "window": window(120.5, 190.5), "step": 5}
    # The last two steps are newer than any page: nothing closes them yet, and they are as high as the others.
    rates = source.rates("model_predictions_total", **asked)[()].values
    assert rates.tolist() == pytest.approx([4.0] * 14, rel=0.03)
    found = source.histogram_series("model_prediction_seconds", **asked)[()]
    assert found.counts.sum(axis=1).tolist() == pytest.approx([20.0] * 14, rel=0.03)
    assert found.quantiles(0.5).values.tolist() == pytest.approx([0.01 * 2 / 3] * 14, rel=0.03)


def test_rates_are_unknown_where_nothing_was_scraped(load):
    feed = steady(Feed(), 2.0, until=60).alive(T0 + 120)
    series = load(feed).rates(
        "model_predictions_total", by=(), where=WHERE, window=window(0.5, 120.5), step=15
    )[()]
    assert np.isnan(series.values[-3:]).all()
    assert series.values[1:4].tolist() == pytest.approx([2, 2, 2], rel=0.1)


def test_a_series_of_histograms_has_one_per_step(load):
    found = load(latency_feed(Feed(), "a:1", [0.01, 0.1], [3, 2, 1])).histogram_series(
        "model_prediction_seconds", by=(), where=WHERE, window=window(15.5, 105.5), step=15
    )[()]
    assert found.counts.shape == (6, 3)
    assert found.counts[2].tolist() == pytest.approx([45, 30, 15], rel=0.1)
    assert found.quantiles(0.5).values.tolist() == pytest.approx([0.01] * 6, abs=1e-3)


def test_the_latest_value_of_each_series_is_added_per_group_and_a_stale_one_is_not(load):
    feed = Feed()
    for second in range(121):
        for target, value in (("a:1", second), ("b:1", 1000)):
            feed.page(target, T0 + second, sample("model_queue_depth", value), endpoint="prod")
        if second < 50:
            feed.page("gone:1", T0 + second, sample("model_queue_depth", 7.0), endpoint="prod")
    found = load(feed).latest("model_queue_depth", by=("endpoint",), where=WHERE, window=window(60.5, 90.5))
    assert found == {("prod",): 1090.0}


def test_a_gauge_has_its_newest_value_of_every_step_per_group(load):
    feed = Feed()
    for second in range(121):
        for target, value in (("a:1", second), ("b:1", 1000)):
            if target == "a:1" or second < 70:
                feed.page(target, T0 + second, sample("model_queue_depth", value), endpoint="prod")
    found = load(feed).gauges(
        "model_queue_depth", by=("endpoint",), where=WHERE, window=window(20.5, 60.5), step=20
    )
    assert found[("prod",)].values.tolist() == [1040.0, 1060.0]
    assert found[("prod",)].times.tolist() == pytest.approx([T0 + 40.5, T0 + 60.5])


def test_promql_is_answered_by_a_prometheus_and_refused_elsewhere(load, store_class):
    source = load(steady(Feed(), 4.0))
    ask = 'sum(rate(model_predictions_total{endpoint="prod"}[20s]))'
    if store_class is not PrometheusStore:
        with pytest.raises(MetricsUnavailable, match="PromQL"):
            source.expression(ask, window=window(30.5, 90.5), step=20)
        return
    found = source.expression(ask, window=window(30.5, 90.5), step=20)
    assert found.values.tolist() == pytest.approx([4.0, 4.0, 4.0], rel=0.01)
    assert np.isnan(source.expression("nothing", window=window(30.5, 90.5), step=20).values).all()
    for wrong in ("sum(", "{__name__=~'.+'}"):
        with pytest.raises(MetricsUnavailable):
            source.expression(wrong, window=window(30.5, 90.5), step=20)


def test_values_that_are_not_numbers_never_become_one(load):
    feed = Feed()
    for second in range(121):
        page = sample("model_queue_depth", math.nan) + counter(
            math.nan if second > 30 else second, version="9"
        )
        feed.page("a:1", T0 + second, page, endpoint="prod")
    source = load(feed)
    assert source.latest("model_queue_depth", by=(), where=WHERE, window=window(60.5, 90.5)) == {}
    found = source.increase("model_predictions_total", by=(), where=WHERE, window=window(10.5, 90.5))
    assert found.get((), 0.0) == pytest.approx(0, abs=20)


def test_odd_label_values_are_found_and_change_no_query(load):
    odd = 'a"}) or vector(1) # \\ |.*'
    feed = Feed()
    for second in range(121):
        escaped = odd.replace("\\", "\\\\").replace('"', '\\"')
        feed.page("a:1", T0 + second, counter(second, version=escaped), endpoint="prod")
    source = load(feed)
    for where in ({"model_version": odd}, {"model_version": [odd, "2"]}):
        found = source.increase(
            "model_predictions_total", by=("model_version",), where=where, window=window(30.5, 90.5)
        )
        assert set(found) == {(odd,)}


def test_a_provider_that_is_gone_says_so(load, store_class, tmp_path):
    source = load(steady(Feed(), 1.0))
    load.__self__.break_down(source)
    for ask in (
        lambda: source.increase("model_predictions_total", by=(), where=WHERE, window=window(130.5, 190.5)),
        lambda: source.histogram("model_prediction_seconds", by=(), where=WHERE, window=window(130.5, 190.5)),
        lambda: source.rates(
            "model_predictions_total", by=(), where=WHERE, window=window(130.5, 190.5), step=5
        ),
        lambda: source.histogram_series(
            "model_prediction_seconds", by=(), where=WHERE, window=window(130.5, 190.5), step=5
        ),
        lambda: source.latest("model_queue_depth", by=(), where=WHERE, window=window(130.5, 190.5)),
    ):
        with pytest.raises(MetricsUnavailable):
            ask()
