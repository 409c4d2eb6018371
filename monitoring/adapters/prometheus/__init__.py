"""A Prometheus server, or anything that speaks its query API (Thanos, Mimir, VictoriaMetrics)."""

from monitoring.adapters.prometheus.source import PrometheusSource

__all__ = ["PrometheusSource"]
