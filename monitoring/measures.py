"""Figures of the notices that are to go out, for Prometheus."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, Min, Q

from monitoring.domain.family import Family, Sample
from monitoring.models import NoticeTarget

_UNSENT = Q(notices__sent_at=None, notices__ended="")


def families(now: datetime) -> list[Family]:
    """Everything that Prometheus is told of monitoring itself; one query."""
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
