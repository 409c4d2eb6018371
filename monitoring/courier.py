"""Sends the notices that wait: at least once, in order per stream and target, a dead target alone.

Any number of couriers may work at once. Each takes whole targets: a target is claimed by moving its `due_at`,
so that one courier at a time sends to it, and a courier that is killed leaves it due again after the lease.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from monitoring.domain.notices import back_off
from monitoring.errors import NotSent
from monitoring.models import Notice, NoticeTarget
from monitoring.models.due import due
from monitoring.notices import KEPT, message_of, waiting
from monitoring.ports import Notifier
from registry.errors import DomainError

# Longer than one attempt can take; it is renewed before each.
LEASE = timedelta(seconds=60)
# A target that failed rests at most so long.
LONGEST = timedelta(minutes=10)
# One target is served so long at a time, then the next one has its turn.
TURN = timedelta(seconds=15)
TURN_LIMIT = 200
# After so many failed streams in one turn the target itself is taken for dead.
STREAMS_LOST = 2
# A notice that could not be sent for so long is given up and shown as lost.
GIVE_UP = timedelta(days=3)


def claim(limit: int = 10) -> list[NoticeTarget]:
    """Targets with something to send whose time has come, claimed for the caller."""
    now = timezone.now()
    unsent = Notice.objects.filter(target=OuterRef("pk"), sent_at=None, ended="")
    ready = NoticeTarget.objects.filter(due(now, LONGEST), Exists(unsent), active=True)
    if not ready.exists():
        return []
    with transaction.atomic():
        rows = ready.select_for_update(skip_locked=True, of=("self",)).order_by("due_at")[:limit]
        claimed = list(rows)
        NoticeTarget.objects.filter(pk__in=[target.pk for target in claimed]).update(due_at=now + LEASE)
    for target in claimed:
        target.due_at = now + LEASE
    return claimed


def serve(target: NoticeTarget, notifier: Notifier) -> int:
    """Sends what waits for a claimed target for one turn; returns how many notices went out.

    It ends early when somebody else moved `due_at`: another courier, or a person who changed the target.
    """
    stop, sent, blocked = timezone.now() + TURN, 0, set[str]()
    for notice in list(waiting(target)[:TURN_LIMIT]):
        if timezone.now() >= stop or len(blocked) >= STREAMS_LOST:
            break
        if notice.stream in blocked:
            continue
        if not _hold(target, timezone.now() + LEASE):
            return sent
        problem = _attempt(target, notice, notifier)
        _remember(target, notice, problem)
        if problem:
            blocked.add(notice.stream)
        else:
            sent += 1
    _release(target, failed=bool(blocked) and not sent)
    return sent


def _attempt(target: NoticeTarget, notice: Notice, notifier: Notifier) -> str:
    """Why it was not sent; empty when it was."""
    try:
        notifier.send(target.url.open(), message_of(notice))
    except NotSent as error:
        return str(error)
    except DomainError as error:
        return error.message
    return ""


def _remember(target: NoticeTarget, notice: Notice, problem: str) -> None:
    now = timezone.now()
    row = Notice.objects.filter(pk=notice.pk)
    if not problem:
        row.update(sent_at=now, attempts=F("attempts") + 1, error="")
        NoticeTarget.objects.filter(pk=target.pk).update(last_sent_at=now)
        return
    given_up: dict[str, Any] = {}
    if now - notice.created_at > GIVE_UP:
        given_up = {"ended": f"given up after {GIVE_UP.days} days"}
    row.update(attempts=F("attempts") + 1, error=problem, **given_up)
    NoticeTarget.objects.filter(pk=target.pk).update(last_error=problem, last_error_at=now)


def _release(target: NoticeTarget, *, failed: bool) -> None:
    """Due again: at once, or after a pause that grows with each turn in which nothing went out."""
    failures = target.failures + 1 if failed else 0
    due = timezone.now() + back_off(failures) if failed else timezone.now()
    _hold(target, due, failures=failures)


def _hold(target: NoticeTarget, until: datetime, **changes: int) -> bool:
    """Moves `due_at` if the target is still ours: whether it was."""
    mine = NoticeTarget.objects.filter(pk=target.pk, due_at=target.due_at)
    held = bool(mine.update(due_at=until, **changes))
    target.due_at = until
    return held


def forget_old(now: datetime) -> int:
    """Deletes what was sent or given up long ago."""
    return Notice.objects.filter(created_at__lt=now - KEPT).exclude(sent_at=None, ended="").delete()[0]
