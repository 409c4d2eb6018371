"""`manage.py intake`: verify and inspect what was uploaded, or hand it out to Celery workers."""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from registry import tasks, wiring
from registry.domain.actor import SYSTEM
from registry.errors import DomainError
from registry.services import blobs, retention
from registry.services.uploads import sweep_uploads

log = logging.getLogger("registry.intake")
POLL_SECONDS = 0.5
HOUSEKEEPING_SECONDS = 3600.0
_ABANDONED = timedelta(days=1)


class Command(BaseCommand):
    help = (
        "Verify and inspect versions that wait for it; with SLIPWAY_REDIS_URL set, workers do it. "
        "Every hour uploads that nobody touched for a day are removed; every SLIPWAY_RETENTION_HOURS "
        "retention is applied."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do what is due now and stop.")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        tidy_at = time.monotonic() + HOUSEKEEPING_SECONDS
        while not stop.is_set():
            if self._round():
                continue
            if options["once"]:
                return
            if time.monotonic() > tidy_at:
                self._tidy()
                tidy_at = time.monotonic() + HOUSEKEEPING_SECONDS
            stop.wait(POLL_SECONDS)

    def _round(self) -> bool:
        """One piece of work; whatever fails is leased again when its time is over."""
        try:
            return bool(tasks.dispatch()) if settings.CELERY_BROKER_URL else tasks.work_one()
        except (OperationalError, RedisError, OSError) as error:
            log.error("the queue did not answer: %s", error)
        except DatabaseError as error:
            log.error("the database did not answer: %s", error)
            close_old_connections()
        except Exception:
            log.exception("an intake failed; it is tried again")
        return False

    def _tidy(self) -> None:
        try:
            removed = sweep_uploads(wiring.artifact_store(), _ABANDONED)
            log.info("%s abandoned uploads removed", removed)
            retire()
        except (DomainError, DatabaseError) as error:
            log.error("the hourly tidying failed: %s", error)


def retire() -> None:
    """Apply retention and free content that nobody needs, if that is scheduled and due."""
    every = timedelta(hours=settings.SLIPWAY_RETENTION_HOURS)
    if not every or not retention.take_turn(every, timezone.now()):
        return
    for model, removal in retention.apply_everywhere(SYSTEM):
        verb = f"is kept ({removal.held})" if removal.held else "was deleted"
        log.info("%s version %s %s: %s", model.name, removal.number, verb, removal.reason)
    store = wiring.artifact_store()
    digests = blobs.unneeded(store, blobs.GRACE)
    freed = blobs.free(digests, store, actor=SYSTEM, reason="no version needs it", grace=blobs.GRACE)
    log.info("the content of %s digests was freed", len(list(freed)))
