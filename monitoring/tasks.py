"""The queue's door of monitoring: sends what waits for one target, measures one endpoint's drift."""

from __future__ import annotations

import logging

from celery import shared_task

from monitoring import courier, drifting, wiring
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.models import NoticeTarget

log = logging.getLogger(__name__)


@shared_task(name="monitoring.deliver", ignore_result=True)
def deliver(target_id: int) -> None:
    """One turn of a target that was claimed for this message; doing it twice sends nothing twice in vain."""
    target = NoticeTarget.objects.filter(pk=target_id, active=True).first()
    if target is not None:
        courier.serve(target, wiring.notifier())


@shared_task(name="monitoring.measure_drift", ignore_result=True)
def measure_drift(endpoint: str, versions: list[tuple[str, str]], window: dict[str, str]) -> None:
    """One endpoint's (model, version) pairs over one window; what fails is handed out again."""
    pairs = [(model, version) for model, version in versions]
    try:
        drifting.measure_endpoint(wiring.metrics_source(), endpoint, pairs, Window.from_dict(window))
    except MetricsUnavailable as error:
        log.warning("The drift of %s was not measured: %s", endpoint, error)
