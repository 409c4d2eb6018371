"""The monitoring app and what it checks before the project starts."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from monitoring.domain.destinations import check_networks
from monitoring.errors import BadSetting

SOURCE_METHODS = (
    "from_settings", "increase", "histogram", "rates", "histogram_series", "latest", "gauges", "expression",
)  # fmt: skip


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        register(check_metrics_source)
        register(check_scrape_interval)
        register(check_outbound)


def check_metrics_source(**kwargs: Any) -> list[CheckMessage]:
    """The metrics source can be imported, is one, and has the settings that it needs."""
    path = settings.SLIPWAY_METRICS_SOURCE
    try:
        adapter = import_string(path)
    except ImportError as error:
        hint = (
            "Use monitoring.adapters.scrape.ScrapeSource or monitoring.adapters.prometheus.PrometheusSource."
        )
        return [Error(f"SLIPWAY_METRICS_SOURCE {path!r}: {error}.", hint=hint, id="monitoring.E001")]
    if missing := [name for name in SOURCE_METHODS if not callable(getattr(adapter, name, None))]:
        hint = "Name a class with the methods of monitoring.ports.MetricsSource and a from_settings()."
        return [
            Error(
                f"SLIPWAY_METRICS_SOURCE {path!r} is no metrics source: it lacks {', '.join(missing)}.",
                hint=hint,
                id="monitoring.E002",
            )
        ]
    if getattr(adapter, "needs_url", False) and not settings.SLIPWAY_PROMETHEUS_URL:
        hint = "Set SLIPWAY_PROMETHEUS_URL, for example to http://prometheus:9090."
        return [Error("The Prometheus source has no address.", hint=hint, id="monitoring.E003")]
    return []


def check_scrape_interval(**kwargs: Any) -> list[CheckMessage]:
    """The scraper looks often enough for a gate, and not so often that it does nothing else."""
    interval = settings.SLIPWAY_SCRAPE_INTERVAL
    if 0.1 <= interval <= 15:
        return []
    hint = "Use 1 for a demonstration and at most 15: history is thinned to a page per 15 s."
    return [
        Error(
            f"SLIPWAY_SCRAPE_INTERVAL is {interval:g}; it must be from 0.1 to 15 seconds.",
            hint=hint,
            id="monitoring.E004",
        )
    ]


def check_outbound(**kwargs: Any) -> list[CheckMessage]:
    """The networks that notices and hooks may be sent to are networks, and the public address is one."""
    found: list[CheckMessage] = []
    try:
        check_networks(settings.SLIPWAY_OUTBOUND_ALLOW)
    except BadSetting as error:
        hint = "Write networks, separated by commas: 10.1.2.0/24,127.0.0.1/32."
        found.append(Error(f"SLIPWAY_OUTBOUND_ALLOW: {error}.", hint=hint, id="monitoring.E005"))
    if not settings.SLIPWAY_PUBLIC_URL.startswith(("http://", "https://")):
        hint = "Write the address that people open, such as https://slipway.example.org."
        found.append(Error("SLIPWAY_PUBLIC_URL is no address.", hint=hint, id="monitoring.E006"))
    return found
