"""Who is told of what: targets of notices, and the one function that gives a notice to them.

A notice is a row first and is sent afterwards (`monitoring.courier`), so giving one never waits for a chat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from monitoring.domain.notices import Message, Severity, Wish, check_kinds
from monitoring.errors import NotSent
from monitoring.models import Notice, NoticeTarget
from monitoring.ports import Notifier
from registry import audit
from registry.domain.actor import Actor
from registry.domain.text import clean_line, clean_lines
from registry.errors import Conflict, Invalid, NotFound

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Sent notices are kept so long, for the page that shows them.
KEPT = timedelta(days=90)


def notify(
    *,
    kind: str,
    title: str,
    text: str = "",
    severity: Severity = Severity.INFO,
    environment: str = "",
    path: str = "",
    stream: str = "",
    key: str = "",
    among: Sequence[NoticeTarget] | None = None,
) -> int:
    """Gives a notice to every target that wants it; returns to how many. It is sent within seconds.

    kind: such as `alert.fired`. path: of the page with the evidence, such as `/rollouts/7/`. stream: what
    must be read in order, such as `rollouts/7` (default: the kind). key: the same key is told once per
    target, so a caller may repeat itself after a crash (default: a new one). Call it inside the transaction
    that makes it true. among: the active targets, for a caller with many notices (default: they are read).
    """
    targets = [
        target
        for target in (active_targets() if among is None else among)
        if target.wish.has(kind=kind, severity=severity, environment=environment)
    ]
    key = key or uuid4().hex
    Notice.objects.bulk_create(
        (
            Notice(
                target=target,
                key=key,
                stream=stream or kind,
                kind=kind,
                severity=severity.value,
                environment=environment,
                title=" ".join(title.split())[:300],
                text=text,
                path=path,
            )
            for target in targets
        ),
        ignore_conflicts=True,
    )
    return len(targets)


def active_targets() -> list[NoticeTarget]:
    """Every target that is switched on."""
    return list(NoticeTarget.objects.filter(active=True))


def message_of(notice: Notice) -> Message:
    """The notice as it is sent, with an absolute link."""
    link = f"{settings.SLIPWAY_PUBLIC_URL}{notice.path}" if notice.path else ""
    return Message(title=notice.title, text=notice.text, severity=Severity(notice.severity), link=link)


def add_target(
    *,
    name: str,
    url: str,
    notifier: Notifier,
    actor: Actor,
    kinds: Iterable[str] = (),
    least: str = Severity.INFO,
    environments: Iterable[str] = (),
) -> NoticeTarget:
    """A new target, active at once. Invalid names the bad field; Conflict when the name is taken."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} cannot be used as a name.",
            field="name",
            hint="Use lower-case letters, digits, dashes.",
        )
    service = notifier.describe(clean_line(url, field="url", maximum=2000, required=True))
    wish = _wish(kinds, least, environments)
    try:
        with transaction.atomic():
            target = NoticeTarget.objects.create(
                name=name, url=url.strip(), service=service[:200], created_by=str(actor)[:150], **wish
            )
            audit.record(
                actor=actor,
                action="notice_target.add",
                target=f"notices/{name}",
                after={"service": service, **wish},
            )
    except IntegrityError as error:
        raise Conflict(f"There is a target {name!r} already.", field="name") from error
    return target


def switch(*, name: str, active: bool, actor: Actor, reason: str = "") -> NoticeTarget:
    """Switches a target off, which drops what waits for it, or on again."""
    with transaction.atomic():
        target = NoticeTarget.objects.select_for_update().filter(name=name).first()
        if target is None:
            raise NotFound(f"There is no target {name!r}.")
        if target.active == active:
            raise Conflict(f"{name} is {'on' if active else 'off'} already.")
        target.active, target.failures, target.due_at = active, 0, timezone.now()
        target.save(update_fields=["active", "failures", "due_at"])
        if not active:
            waiting(target).update(ended="the target was switched off")
        audit.record(
            actor=actor,
            action=f"notice_target.{'on' if active else 'off'}",
            target=f"notices/{name}",
            reason=reason,
        )
    return target


def send_test(*, name: str, notifier: Notifier, actor: Actor) -> str:
    """Sends a notice now and waits for it, some seconds at most; returns why it failed, or nothing."""
    target = target_by_name(name)
    message = Message(
        title="A test notice from Slipway",
        text=f"{actor} checks that notices reach the target {name}.",
        severity=Severity.INFO,
        link=settings.SLIPWAY_PUBLIC_URL,
    )
    problem, now = "", timezone.now()
    try:
        notifier.send(target.url.open(), message)
    except NotSent as error:
        problem = str(error)
    seen: dict[str, Any] = {"last_error": problem, "last_error_at": now} if problem else {"last_sent_at": now}
    if not problem:
        # Whoever mended the target need not wait until the back-off is over.
        seen |= {"due_at": now, "failures": 0, "last_error": ""}
    NoticeTarget.objects.filter(pk=target.pk).update(**seen)
    return problem


def target_by_name(name: str) -> NoticeTarget:
    """NotFound when there is none."""
    target = NoticeTarget.objects.filter(name=name).first()
    if target is None:
        raise NotFound(f"There is no target {name!r}.")
    return target


def targets() -> QuerySet[NoticeTarget]:
    """Every target with `waiting` (notices not sent yet) and `lost` (given up), by name."""
    open_ = Q(notices__sent_at=None, notices__ended="", notices__id__isnull=False)
    given_up = Q(notices__sent_at=None) & ~Q(notices__ended="") & Q(notices__id__isnull=False)
    return NoticeTarget.objects.annotate(
        waiting=Count("notices", filter=open_), lost=Count("notices", filter=given_up)
    ).order_by("name")


def recent(limit: int = 50, *, target: str = "", before: int | None = None) -> Sequence[Notice]:
    """The newest notices, sent or not."""
    rows = Notice.objects.select_related("target").order_by("-id")
    if target:
        rows = rows.filter(target=target_by_name(target))
    return list(rows.filter(id__lt=before)[:limit] if before else rows[:limit])


def waiting(target: NoticeTarget) -> QuerySet[Notice]:
    """What is to be sent to the target, in order."""
    return Notice.objects.filter(target=target, sent_at=None, ended="").order_by("id")


def _wish(kinds: Iterable[str], least: str, environments: Iterable[str]) -> dict[str, Any]:
    """The columns of a `Wish`; Invalid names the bad field."""
    wanted = clean_lines(list(kinds), field="kinds", maximum=63, count=50)
    check_kinds(wanted)
    if least not in list(Severity):
        known = ", ".join(Severity)
        raise Invalid(f"{least!r} is not a severity.", field="least", hint=f"Known: {known}.")
    names = clean_lines(list(environments), field="environments", maximum=63, count=100)
    return {
        "kinds": list(Wish(kinds=wanted).kinds),
        "least": Severity(least).value,
        "environments": names,
    }
