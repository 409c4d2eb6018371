"""What people do about alerts: rules, acknowledgements, silences. One verb, one function."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from monitoring.alerting.evaluate import forgotten
from monitoring.domain.alerts import DEFAULT_RULES, Rule, parse_matchers, parse_rule
from monitoring.models import Alert, AlertEvent, AlertRule, AlertSilence
from registry import audit
from registry.domain.actor import SYSTEM, Actor
from registry.domain.text import clean_line
from registry.errors import Conflict, Invalid, NotFound
from registry.identity import AnyUser, visible
from registry.models import Model

MAX_RULES = 500
LONGEST_SILENCE = timedelta(days=366)


def add_rule(document: Mapping[str, Any], *, actor: Actor, reason: str = "") -> AlertRule:
    """A new rule, evaluated at once; Invalid names the bad field, Conflict when the name is taken."""
    rule = parse_rule(document)
    if AlertRule.objects.count() >= MAX_RULES:
        raise Conflict(f"There are {MAX_RULES} alert rules; remove one first.")
    try:
        with transaction.atomic():
            row = AlertRule.objects.create(
                name=rule.name, document=rule.to_dict(), created_by=str(actor)[:150]
            )
            _audit(actor, "add", row, None, rule, reason)
    except IntegrityError as error:
        raise Conflict(f"There is an alert rule {rule.name!r} already.", field="name") from error
    return row


def change_rule(
    name: str, changes: Mapping[str, Any], *, actor: Actor, reason: str, enabled: bool | None = None
) -> AlertRule:
    """Replaces the given fields; open alerts of what the rule said before are put away."""
    reason = _reason(reason)
    with transaction.atomic():
        row = _locked(name)
        before = row.rule
        after = parse_rule({**before.to_dict(), **changes})
        if after.name != before.name:
            raise Invalid("A rule keeps its name.", field="name", hint="Add another rule instead.")
        row.document = after.to_dict()
        row.enabled = row.enabled if enabled is None else enabled
        row.due_at = timezone.now()
        row.save(update_fields=["document", "enabled", "due_at", "changed_at"])
        if after != before or not row.enabled:
            forgotten([row], str(actor), timezone.now(), f"the rule was changed: {reason}"[:1000])
        _audit(actor, "change" if row.enabled else "disable", row, before, after, reason)
    return row


def remove_rule(name: str, *, actor: Actor, reason: str) -> None:
    """Removes a rule with its alerts and their history; switching it off keeps them."""
    reason = _reason(reason)
    with transaction.atomic():
        row = _locked(name)
        _audit(actor, "remove", row, row.rule, None, reason)
        row.delete()


def make_default_rules() -> int:
    """The default rules that are missing, for a new installation; returns how many were made."""
    made = 0
    for document in DEFAULT_RULES:
        rule = parse_rule(document)
        _, new = AlertRule.objects.get_or_create(
            name=rule.name, defaults={"document": rule.to_dict(), "created_by": str(SYSTEM)}
        )
        made += new
    return made


def acknowledge(alert: Alert, *, actor: Actor, comment: str = "") -> Alert:
    """Somebody has it in hand: it is not told again while it fires; Conflict for one that is over."""
    comment = clean_line(comment, field="comment", maximum=1000)
    with transaction.atomic():
        row = Alert.objects.select_for_update(of=("self",)).select_related("rule").get(pk=alert.pk)
        if not row.is_open:
            raise Conflict("This alert is over.")
        if row.acknowledged_at is not None:
            raise Conflict(f"{row.acknowledged_by} has acknowledged it already.")
        row.acknowledged_by, row.acknowledged_at = str(actor)[:150], timezone.now()
        row.comment = comment
        row.save(update_fields=["acknowledged_by", "acknowledged_at", "comment"])
        AlertEvent.objects.create(
            alert=row, at=timezone.now(), kind="acknowledged", text=comment or "acknowledged",
            actor=str(actor)[:150],
        )  # fmt: skip
        audit.record(actor=actor, action="alert.acknowledge", target=f"alerts/{row.pk}", reason=comment)
    return row


def add_silence(
    *, matchers: object, ends_at: datetime, reason: str, actor: Actor, starts_at: datetime | None = None
) -> AlertSilence:
    """Nobody is told of matching alerts until then; Invalid names the bad field."""
    found = parse_matchers(matchers)
    start = starts_at or timezone.now()
    if not start < ends_at <= start + LONGEST_SILENCE or ends_at <= timezone.now():
        raise Invalid("A silence ends after it starts, in the future, within a year.", field="ends_at")
    with transaction.atomic():
        row = AlertSilence.objects.create(
            matchers={matcher.label: matcher.value for matcher in found},
            starts_at=start, ends_at=ends_at, reason=_reason(reason), created_by=str(actor)[:150],
        )  # fmt: skip
        audit.record(
            actor=actor, action="alert_silence.add", target=f"silences/{row.pk}",
            after={"matchers": row.matchers, "ends_at": ends_at}, reason=reason,
        )  # fmt: skip
    return row


def end_silence(pk: int, *, actor: Actor) -> AlertSilence:
    """Ends a silence now; Conflict when it is over."""
    with transaction.atomic():
        row = AlertSilence.objects.select_for_update().filter(pk=pk).first()
        if row is None:
            raise NotFound(f"There is no silence {pk}.")
        if row.ends_at <= timezone.now():
            raise Conflict("This silence is over.")
        row.ends_at, row.ended_by = timezone.now(), str(actor)[:150]
        row.save(update_fields=["ends_at", "ended_by"])
        audit.record(actor=actor, action="alert_silence.end", target=f"silences/{pk}")
    return row


def rules() -> QuerySet[AlertRule]:
    """Every rule by name."""
    return AlertRule.objects.order_by("name")


def rule_by_name(name: str) -> AlertRule:
    """NotFound when there is none."""
    row = AlertRule.objects.filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no alert rule {ascii(name[:63])}.")
    return row


def alerts(user: AnyUser, *, open_only: bool = True, firing_first: bool = True) -> QuerySet[Alert]:
    """Alerts on models that the user may view, and those on none."""
    mine = Model.objects.filter(visible(user)).values("name")
    rows = Alert.objects.select_related("rule").filter(Q(model="") | Q(model__in=mine))
    return rows.filter(ended_at=None) if open_only else rows.exclude(fired_at=None)


def alert_by_id(user: AnyUser, pk: int) -> Alert:
    """NotFound when there is none that the user may see."""
    row = alerts(user, open_only=False).filter(pk=pk).first() or alerts(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no alert {pk}.")
    return row


def model_of_alert(alert: Alert) -> Model | None:
    """The model that the alert is about, if it is registered."""
    return Model.objects.filter(name=alert.model, deleted_at=None).first() if alert.model else None


def _locked(name: str) -> AlertRule:
    row = AlertRule.objects.select_for_update().filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no alert rule {ascii(name[:63])}.")
    return row


def _reason(reason: str) -> str:
    return clean_line(reason, field="reason", maximum=1000, required=True)


def _audit(
    actor: Actor, verb: str, row: AlertRule, before: Rule | None, after: Rule | None, reason: str
) -> None:
    audit.record(
        actor=actor,
        action=f"alert_rule.{verb}",
        target=f"alert-rules/{row.name}",
        before=before.to_dict() if before else None,
        after={**after.to_dict(), "enabled": row.enabled} if after else None,
        reason=reason,
    )
