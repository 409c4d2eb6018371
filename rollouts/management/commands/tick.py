"""`manage.py tick`: the reconciler as one process, or as the dispatcher of Celery workers."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections

from rollouts import tasks

log = logging.getLogger("rollouts.tick")
# How often due endpoints are asked for: one indexed query, and the most that a click waits.
POLL_SECONDS = 0.2


class Command(BaseCommand):
    help = "Walk all rollouts. With SLIPWAY_REDIS_URL set, workers do the ticks and this only hands them out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do what is due now and stop.")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            self._round()
            if options["once"]:
                return
            stop.wait(POLL_SECONDS)

    def _round(self) -> None:
        """One pass over what is due; a database that is away costs time, nothing else."""
        try:
            if settings.CELERY_BROKER_URL:
                tasks.dispatch()
                return
            for endpoint_id in tasks.claim():
                self._tick(endpoint_id)
        except DatabaseError as error:
            log.error("the database did not answer: %s", error)
            close_old_connections()

    def _tick(self, endpoint_id: int) -> None:
        """One endpoint's failure must not stop the others."""
        try:
            tasks.tick_endpoint(endpoint_id)
        except DatabaseError:
            raise
        except Exception:
            log.exception("the tick of endpoint %s failed; it is tried again", endpoint_id)
