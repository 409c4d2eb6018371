"""Recording and alerting rules as the documents that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from monitoring.domain.alerts.rules import DRIFT, Rule
from monitoring.domain.judge.error_rate import ERROR_STATUSES
from monitoring.domain.observability.definition import RECORDINGS, SELF_ALERTS, SERVED

REQUESTS, SECONDS = "model_predictions_total", "model_prediction_seconds"


def recording_rules() -> dict[str, Any]:
    """The rules file of the recorded series."""
    rules = [{"record": item.name, "expr": item.expression} for item in RECORDINGS]
    return {"groups": [{"name": "slipway-recordings", "rules": rules}]}


def alerting_rules(rules: Iterable[Rule]) -> dict[str, Any]:
    """The rules file of these alert rules, and of the alerts on Slipway itself."""
    own = [
        {
            "alert": item.name, "expr": item.expression, "for": item.lasting,
            "labels": {"severity": item.severity}, "annotations": {"summary": item.summary},
        }
        for item in SELF_ALERTS
    ]  # fmt: skip
    given = [_alert(rule) for rule in rules]
    groups = [{"name": "slipway-alerts", "rules": given}] if given else []
    return {"groups": [*groups, {"name": "slipway-itself", "rules": own}]}


def _alert(rule: Rule) -> dict[str, Any]:
    column = " {{ $labels.column }}" if rule.series in DRIFT and not rule.column else ""
    where = "{{ $labels.endpoint }} v{{ $labels.model_version }}"
    return {
        "alert": rule.name,
        "expr": expression(rule),
        "for": f"{rule.for_seconds}s",
        "labels": {"severity": rule.severity, "source": "slipway"},
        "annotations": {
            "summary": f"{where}: {rule.noun(rule.column)}{column} is {{{{ $value | humanize }}}} "
            f"(rule: {rule.condition()})",
            "description": rule.description or rule.condition(),
        },
    }


def expression(rule: Rule) -> str:
    """The rule's condition in PromQL, true for the series that breach it, with its floor of samples.

    Divergences from a baseline cannot be computed in PromQL: those rules read what Slipway measured.
    """
    measured, floor = _measured(rule)
    condition = f"{measured} {rule.operator} {rule.threshold:.10g}"
    if not floor or not rule.min_samples:
        return condition
    return f"({condition}) and on ({SERVED}) ({floor} >= {rule.min_samples})"


def _measured(rule: Rule) -> tuple[str, str]:
    """The value, and how many observations it is made of."""
    if rule.series in DRIFT:
        return f"slipway_alert_series_value{_where(rule, rule=rule.name)}", ""
    span = f"[{rule.window_seconds}s]"
    if rule.series == "gauge":
        return f"sum by ({SERVED}) ({rule.metric}{_where(rule)})", ""
    if rule.series in {"rate", "request_rate"}:
        metric = rule.metric or REQUESTS
        return f"sum by ({SERVED}) (rate({metric}{_where(rule)}{span}))", ""
    if rule.series == "latency":
        buckets = f"sum by ({SERVED}, le) (rate({SECONDS}_bucket{_where(rule)}{span}))"
        total = f"sum by ({SERVED}) (increase({SECONDS}_count{_where(rule)}{span}))"
        return f"1000 * histogram_quantile({rule.quantile:g}, {buckets})", total
    statuses = "|".join(ERROR_STATUSES) if rule.series == "error_rate" else "rejected"
    bad = f"sum by ({SERVED}) (rate({REQUESTS}{_where(rule, status=statuses)}{span}))"
    every = f"sum by ({SERVED}) (rate({REQUESTS}{_where(rule)}{span}))"
    return f"{bad} / {every}", f"sum by ({SERVED}) (increase({REQUESTS}{_where(rule)}{span}))"


def _where(rule: Rule, /, **more: str) -> str:
    narrowed = {"endpoint": rule.endpoint, "model": rule.model}
    if rule.series in DRIFT:
        narrowed["column"] = rule.column
    conditions = [f'{label}="{_escaped(value)}"' for label, value in narrowed.items() if value]
    conditions += [
        f'{label}=~"{value}"' if "|" in value else f'{label}="{value}"' for label, value in more.items()
    ]
    return f"{{{', '.join(conditions)}}}" if conditions else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
