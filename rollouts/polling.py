"""Threads beside the ticks: each does its round again and again, and no failure ends it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import DatabaseError, close_old_connections, connections


class Troubles:
    """Logs a trouble of a kind once in a row, and its end."""

    def __init__(self, log: logging.Logger) -> None:
        self._log, self._kind = log, ""

    def tell(self, trouble: str) -> None:
        """What stands before the first colon is the kind; an empty text is the end."""
        kind = trouble.partition(":")[0]
        if kind == self._kind:
            return
        if trouble:
            self._log.error(trouble)
        else:
            self._log.info("all is well again")
        self._kind = kind


class Poll(threading.Thread):
    """Does a round every so many seconds until `stop` is set, at once where a round says that more waits.

    May be killed at any moment.
    """

    def __init__(self, name: str, seconds: float, work: Callable[[], object], stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._seconds, self._work, self._ended = seconds, work, stop
        self._log = logging.getLogger(f"rollouts.{name}")
        self._database = Troubles(self._log)

    def run(self) -> None:
        pause = self._seconds
        while not self._ended.wait(pause):
            pause = 0.0 if self.safely(self._work) else self._seconds
        connections.close_all()

    def safely(self, work: Callable[[], object]) -> bool:
        """What the work says, or False when it failed; a later round tries again."""
        try:
            more = bool(work())
        except DatabaseError as error:
            self._database.tell(f"the database did not answer: {error}")
            close_old_connections()
        except Exception:
            self._log.exception("a round failed; it is tried again")
        else:
            self._database.tell("")
            return more
        return False
