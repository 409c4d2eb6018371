"""The queue's door of monitoring: sends what waits for one target, measures one endpoint's drift."""

from __future__ import annotations

import logging
import time

from celery import shared_task

from monitoring import courier, drifting, scoring, wiring
from monitoring.adapters.tables import Folder
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.models import NoticeTarget
from registry.errors import DomainError
from registry.models import Version
from registry.wiring import artifact_store

log = logging.getLogger(__name__)
# Seconds of scoring per message, well below the time after which Redis delivers a message anew.
TURN = 60


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


@shared_task(
    name="monitoring.score_folder", ignore_result=True, soft_time_limit=4 * TURN, time_limit=4 * TURN + 30
)
def score_folder(version_id: int, source: str, target: str, chunk_rows: int) -> None:
    """One turn of scoring a folder; what is left is another message, so that no message lasts for hours.

    A killed worker's message goes to another one, which goes on after the last part.
    """
    version = Version.objects.get(pk=version_id)
    job = scoring.Job(version, Folder(source), Folder(target), chunk_rows)
    until = time.monotonic() + TURN
    try:
        result = scoring.score(job, artifact_store(), stop=lambda: time.monotonic() > until)
    except DomainError as error:
        log.error("%s was not scored over %s: %s", version.ref, source, error)
        return
    if result is None:
        score_folder.delay(version_id, source, target, chunk_rows)
    else:
        log.info("%s was scored over %s: %s rows, %s", version.ref, source, result["rows"], result["state"])
