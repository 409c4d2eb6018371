"""Figures of notices, alerts and scoring jobs, for Prometheus."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, Min, Q

from monitoring.domain.family import Family, Sample
from monitoring.models import Alert, AlertRule, NoticeTarget, ScoringJob
from monitoring.models.scoring import STATES

_SERIES = ("rule", "endpoint", "model", "model_version", "column")
_UNSENT = Q(notices__sent_at=None, notices__ended="")


def families(now: datetime) -> list[Family]:
    """Everything that Prometheus is told of monitoring itself; four queries."""
    return [*_notices(now), *_alerts(), _scoring()]


def _scoring() -> Family:
    """How many scoring jobs are in each state; those that nobody has are 0, so that a graph has no hole."""
    rows = dict(ScoringJob.objects.order_by().values_list("state").annotate(count=Count("id")))
    samples = tuple(Sample({"state": state}, rows.get(state, 0)) for state, _ in STATES)
    return Family("slipway_scoring_jobs", "Scoring jobs by state", "gauge", samples)


def _alerts() -> list[Family]:
    """What fires, how the rules are, and what they measured last."""
    firing = (
        Alert.objects.filter(state="firing", ended_at=None)
        .order_by()
        .values_list("rule__name", "severity")
        .annotate(count=Count("id"))
    )
    rules = list(
        AlertRule.objects.filter(enabled=True).order_by("name").values_list("name", "health", "readings")
    )
    return [
        Family(
            "slipway_alerts",
            "Alerts that fire",
            "gauge",
            tuple(Sample({"rule": name, "severity": severity}, count) for name, severity, count in firing),
        ),
        Family(
            "slipway_alert_rule_health",
            "1 for the state of each alert rule: ok, no_data, error or new",
            "gauge",
            tuple(Sample({"rule": name, "health": health}, 1) for name, health, _ in rules),
        ),
        Family(
            "slipway_alert_series_value",
            "Newest value of the series that an alert rule watches, in the unit of its threshold",
            "gauge",
            tuple(
                Sample(dict(zip(_SERIES, (name, *labels), strict=True)), value)
                for name, _, readings in rules
                for *labels, value in readings
            ),
        ),
    ]


def _notices(now: datetime) -> list[Family]:
    """How the targets of notices fare."""
    rows = list(
        NoticeTarget.objects.filter(active=True)
        .order_by("name")
        .annotate(pending=Count("notices", filter=_UNSENT), oldest=Min("notices__created_at", filter=_UNSENT))
        .values_list("name", "pending", "oldest", "failures")
    )
    return [
        Family(
            "slipway_notices_pending",
            "Notices that are to be sent",
            "gauge",
            tuple(Sample({"target": name}, pending) for name, pending, _, _ in rows),
        ),
        Family(
            "slipway_notice_age_seconds",
            "Age of the oldest notice that is to be sent",
            "gauge",
            tuple(
                Sample({"target": name}, (now - oldest).total_seconds() if oldest else 0.0)
                for name, _, oldest, _ in rows
            ),
        ),
        Family(
            "slipway_notice_failures",
            "Attempts that failed since one succeeded",
            "gauge",
            tuple(Sample({"target": name}, failures) for name, _, _, failures in rows),
        ),
    ]
