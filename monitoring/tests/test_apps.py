import pytest

from monitoring.apps import check_metrics_source, check_scrape_interval
from monitoring.wiring import metrics_source


def ids(messages):
    return [message.id for message in messages]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("monitoring.adapters.scrape.ScrapeSource", []),
        ("monitoring.adapters.memory.MemorySource", []),
        ("monitoring.adapters.nothing.Source", ["monitoring.E001"]),
        ("nonsense", ["monitoring.E001"]),
        ("monitoring.domain.window.Window", ["monitoring.E002"]),
        ("monitoring.adapters.prometheus.PrometheusSource", ["monitoring.E003"]),
    ],
)
def test_a_metrics_source_that_cannot_work_is_told_at_start(settings, path, found):
    settings.SLIPWAY_METRICS_SOURCE = path
    settings.SLIPWAY_PROMETHEUS_URL = ""
    messages = check_metrics_source()
    assert ids(messages) == found
    assert all(message.hint for message in messages)


@pytest.mark.parametrize(
    ("interval", "found"), [(1, []), (15, []), (0.01, ["monitoring.E004"]), (60, ["monitoring.E004"])]
)
def test_an_interval_that_starves_the_gates_is_told_at_start(settings, interval, found):
    settings.SLIPWAY_SCRAPE_INTERVAL = interval
    assert ids(check_scrape_interval()) == found


def test_the_source_of_the_settings_is_made_once(settings):
    settings.SLIPWAY_METRICS_SOURCE = "monitoring.adapters.memory.MemorySource"
    assert metrics_source() is metrics_source()


def test_prometheus_is_reached_at_the_address_of_the_settings(settings):
    settings.SLIPWAY_METRICS_SOURCE = "monitoring.adapters.prometheus.PrometheusSource"
    settings.SLIPWAY_PROMETHEUS_URL = "http://127.0.0.1:1"
    assert check_metrics_source() == []
    assert metrics_source()._client.url == "http://127.0.0.1:1"
