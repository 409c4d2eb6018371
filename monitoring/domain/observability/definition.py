"""What is recorded and alerted on. Labels are those of the servers' metrics and of Slipway's own."""

from __future__ import annotations

from monitoring.domain.judge.error_rate import ERROR_STATUSES
from monitoring.domain.observability.shapes import Recording, SelfAlert

SERVED = "endpoint, model, model_version"
FAILED = "|".join(ERROR_STATUSES)
# Long enough for four scrapes at the usual 15 s.
WINDOW = "1m"


def _quantile(quantile: float, metric: str) -> str:
    return f"histogram_quantile({quantile:g}, sum by ({SERVED}, le) (rate({metric}_bucket[{WINDOW}])))"


RECORDINGS = (
    Recording(
        "slipway:requests:rate", f"sum by ({SERVED}, status) (rate(model_predictions_total[{WINDOW}]))"
    ),
    Recording(
        "slipway:errors:ratio",
        f'sum by ({SERVED}) (slipway:requests:rate{{status=~"{FAILED}"}})'
        f" / sum by ({SERVED}) (slipway:requests:rate)",
    ),
    Recording("slipway:latency_seconds:p50", _quantile(0.5, "model_prediction_seconds")),
    Recording("slipway:latency_seconds:p95", _quantile(0.95, "model_prediction_seconds")),
    Recording("slipway:latency_seconds:p99", _quantile(0.99, "model_prediction_seconds")),
    Recording("slipway:queue_seconds:p95", _quantile(0.95, "model_queue_seconds")),
    Recording("slipway:compute_seconds:p95", _quantile(0.95, "model_compute_seconds")),
    Recording("slipway:queue_depth:sum", f"sum by ({SERVED}) (model_queue_depth)"),
    Recording(
        "slipway:batch_size:mean",
        f"sum by ({SERVED}) (rate(model_batch_size_sum[{WINDOW}]))"
        f" / sum by ({SERVED}) (rate(model_batch_size_count[{WINDOW}]))",
    ),
)

SELF_ALERTS = (
    SelfAlert(
        "SlipwayTicksLate", "max(slipway_tick_lag_seconds) > 30", "2m", "critical",
        "Rollouts are not being walked: the most overdue tick is {{ $value | humanizeDuration }} late.",
    ),
    SelfAlert(
        "SlipwayGone", 'absent(slipway_tick_lag_seconds) == 1', "5m", "critical",
        "Prometheus has had no metrics of Slipway for five minutes.",
    ),
    SelfAlert(
        "SlipwayAnalysesFail", 'sum(slipway_verdicts{verdict="error"}) > 0', "10m", "warning",
        "{{ $value }} rollouts are held because their metrics cannot be read.",
    ),
    SelfAlert(
        "SlipwayFaults",
        'sum(rate(slipway_request_duration_seconds_count{code="5xx"}[5m]))'
        " / sum(rate(slipway_request_duration_seconds_count[5m])) > 0.05", "5m", "critical",
        "{{ $value | humanizePercentage }} of the requests to web are answered with a 5xx.",
    ),
    SelfAlert(
        "SlipwayNoticesWait", "max by (target) (slipway_notice_age_seconds) > 600", "5m", "warning",
        "Notices to {{ $labels.target }} have waited for {{ $value | humanizeDuration }}.",
    ),
    SelfAlert(
        "SlipwayAlertRulesBlind", 'sum by (rule) (slipway_alert_rule_health{health="error"}) > 0', "10m",
        "warning", "The alert rule {{ $labels.rule }} cannot be evaluated.",
    ),
)  # fmt: skip
