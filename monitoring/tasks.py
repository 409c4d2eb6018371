"""The queue's doors of monitoring: sending what waits for one target, evaluating alerts."""

from __future__ import annotations

from celery import shared_task
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from monitoring import courier, wiring
from monitoring.alerting import evaluate
from monitoring.models import NoticeTarget


@shared_task(name="monitoring.deliver", ignore_result=True)
def deliver(target_id: int) -> None:
    """One turn of a target that was claimed for this message; doing it twice sends nothing twice in vain."""
    target = NoticeTarget.objects.filter(pk=target_id, active=True).first()
    if target is not None:
        courier.serve(target, wiring.notifier())


@shared_task(name="monitoring.alerts", ignore_result=True)
def evaluate_alerts() -> None:
    """Evaluates the alert rules that are due; any number at once and any repetition are harmless."""
    try:
        evaluate.evaluate_due(wiring.metrics_source(), timezone.now())
    except DatabaseError:
        close_old_connections()
        raise
