"""The queue's door of monitoring: sends what waits for one target."""

from __future__ import annotations

from celery import shared_task

from monitoring import courier, wiring
from monitoring.models import NoticeTarget


@shared_task(name="monitoring.deliver", ignore_result=True)
def deliver(target_id: int) -> None:
    """One turn of a target that was claimed for this message; doing it twice sends nothing twice in vain."""
    target = NoticeTarget.objects.filter(pk=target_id, active=True).first()
    if target is not None:
        courier.serve(target, wiring.notifier())
