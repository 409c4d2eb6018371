"""Whether Slipway does its work, asked of the parts that do it: the database, the queue, the ticks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from monitoring.adapters.queue import QUEUE_ERRORS
from rollouts import measures, waiting

# So late is no longer a matter of load: a rollback would be that late as well.
LATE_SECONDS = 30.0
_schema_is_current = False


@dataclass(frozen=True, slots=True)
class Part:
    """One part's state. `needed`: without it no request can be answered."""

    name: str
    ok: bool
    text: str
    needed: bool = False
    value: float | None = None


def look(now: datetime | None = None) -> list[Part]:
    """Every part's state, worst news first; takes seconds at most when a part is away."""
    now = now or timezone.now()
    parts = [_database()]
    if parts[0].ok:
        parts.append(_schema())
    if all(part.ok for part in parts):
        parts.append(_asked(now))
    if settings.CELERY_BROKER_URL:
        parts.append(_queue(now))
    return sorted(parts, key=lambda part: part.ok)


def document(parts: list[Part]) -> dict[str, Any]:
    """What `/readyz` answers: `ok`, `degraded` (work is late, requests are answered) or `unavailable`."""
    bad = [part for part in parts if not part.ok]
    state = "unavailable" if any(part.needed for part in bad) else "degraded" if bad else "ok"
    return {"status": state, **{part.name: _said(part) for part in parts}}


def _said(part: Part) -> dict[str, Any]:
    value = {} if part.value is None else {"seconds": round(part.value, 1)}
    return {"ok": part.ok, "detail": part.text, **value}


def _database() -> Part:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        connections["default"].close()
        text = f"The database does not answer ({type(error).__name__}); nothing can be shown or changed."
        return Part("database", False, text, needed=True)
    return Part("database", True, "answers", needed=True)


def _schema() -> Part:
    """Whether every migration of this release is applied; asked until it is, then remembered."""
    global _schema_is_current
    if not _schema_is_current:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            text = f"{len(missing)} migrations are not applied: run `manage.py migrate`."
            return Part("schema", False, text, needed=True)
        _schema_is_current = True
    return Part("schema", True, "is this release's", needed=True)


def _asked(now: datetime) -> Part:
    """The ticks, if their tables can be read: what was whole once may be lost, or be restored just now."""
    global _schema_is_current
    try:
        return _ticks(now)
    except DatabaseError as error:
        _schema_is_current = False
        text = f"Slipway's tables cannot be read ({type(error).__name__}): is a backup being restored?"
        return Part("tables", False, text, needed=True)


def _ticks(now: datetime) -> Part:
    lag = measures.tick_lag(now)
    late = lag > LATE_SECONDS + settings.SLIPWAY_TICK_SECONDS
    text = (
        f"Rollouts stand still: the most overdue tick waits for {timedelta(seconds=int(lag))}. "
        "Does `manage.py tick` run?"
    )
    return Part("ticks", not late, text if late else "in time", value=lag)


def _queue(now: datetime) -> Part:
    try:
        age = waiting.oldest_message_age(now)
    except QUEUE_ERRORS as error:
        text = f"The queue does not answer ({type(error).__name__}); the dispatcher does the ticks meanwhile."
        return Part("queue", False, text)
    late = age > LATE_SECONDS
    text = f"The oldest message waits for {timedelta(seconds=int(age))}. Do the Celery workers run?"
    return Part("queue", not late, text if late else "is emptied", value=age)
