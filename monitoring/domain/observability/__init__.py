"""The one definition behind Prometheus rules and Grafana dashboards: every expression is written once."""

from monitoring.domain.observability.dashboards import DASHBOARDS
from monitoring.domain.observability.definition import RECORDINGS, SELF_ALERTS
from monitoring.domain.observability.grafana import dashboard_json
from monitoring.domain.observability.prometheus import alerting_rules, recording_rules

__all__ = [
    "DASHBOARDS", "RECORDINGS", "SELF_ALERTS", "alerting_rules", "dashboard_json", "recording_rules",
]  # fmt: skip
