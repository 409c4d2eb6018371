"""`manage.py tick`: the reconciler as one process, or as the dispatcher of Celery workers."""

from __future__ import annotations

import logging
import signal
import threading
import time
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections

from monitoring.adapters import process_metrics
from rollouts import chores, posting, scorer, tasks
from rollouts.polling import Poll, Troubles

log = logging.getLogger("rollouts.tick")
# How often due endpoints are asked for: one indexed query, and the most that a click waits.
POLL_SECONDS = 0.2


class Command(BaseCommand):
    help = "Walk all rollouts. With SLIPWAY_REDIS_URL set, workers do the ticks and this only hands them out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do what is due now and stop.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._troubles = Troubles(log)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if not options["once"]:
            process_metrics.serve_or_tell(settings.SLIPWAY_METRICS_PORT)
            posting.Post(stop).start()
            Poll("chores", chores.POLL_SECONDS, chores.once, stop).start()
            Poll("scorer", scorer.POLL_SECONDS, partial(scorer.once, stop), stop).start()
        while not stop.is_set():
            done = self._round(stop)
            if options["once"]:
                posting.once()
                chores.once()
                scorer.once()
                return
            if done < tasks.CLAIM_LIMIT:
                stop.wait(POLL_SECONDS)

    def _round(self, stop: threading.Event) -> int:
        """One pass over what is due; a database that is away costs time, nothing else."""
        began = time.perf_counter()
        done = self._walk(stop)
        if done:
            process_metrics.round_done(time.perf_counter() - began)
        return done

    def _walk(self, stop: threading.Event) -> int:
        try:
            done = self._hand_out() if settings.CELERY_BROKER_URL else self._tick_due(stop)
        except tasks.QueueDown as error:
            self._troubles.tell(f"the queue did not answer, ticking here until it does: {error}")
            return self._round_without_queue(stop)
        except DatabaseError as error:
            self._troubles.tell(f"the database did not answer: {error}")
            close_old_connections()
            return 0
        self._troubles.tell("")
        return done

    def _round_without_queue(self, stop: threading.Event) -> int:
        """A rollback needs no queue: while it is away the dispatcher does what workers would."""
        try:
            return self._tick_due(stop)
        except DatabaseError as error:
            log.error("the database did not answer: %s", error)
            close_old_connections()
            return 0

    def _hand_out(self) -> int:
        return tasks.dispatch()

    def _tick_due(self, stop: threading.Event) -> int:
        due = tasks.claim()
        tasks.tick_all(due, stopping=stop.is_set)
        return len(due)
