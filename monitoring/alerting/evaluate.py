"""Evaluating the rules that are due: values, states, history, and who is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from monitoring.adapters.cached import CachedSource
from monitoring.alerting.readings import Subject, readings
from monitoring.domain.alerts import OPEN, Matcher, Rule, State, silenced, step
from monitoring.domain.notices import Severity
from monitoring.errors import MetricsUnavailable
from monitoring.models import Alert, AlertEvent, AlertRule, AlertSilence
from monitoring.models.due import due
from monitoring.notices import notify
from monitoring.ports import MetricsSource

logger = logging.getLogger(__name__)
EVERY, SELDOM = timedelta(seconds=15), timedelta(seconds=60)
# Over windows at least this long, values move slowly: they are evaluated SELDOM.
LONG_WINDOW = 900
# So many readings of a rule are kept for pages and for Prometheus.
READINGS = 500
# Alerts that ended so long ago are forgotten with their history.
KEPT = timedelta(days=90)
_BADGES = {State.FIRING: "fires", State.RESOLVED: "resolved", State.NO_DATA: "has no data"}


@dataclass(frozen=True, slots=True)
class Read:
    """What one rule's series are now; `problem` says why there is nothing."""

    values: Mapping[Subject, float | None]
    problem: str = ""


def evaluate_due(source: MetricsSource, now: datetime) -> int:
    """Evaluates the rules whose time has come; any number of processes may call it. Returns how many.

    What a rule needs is asked before anything is written, and rules over the same window share questions.
    """
    rules = _claim(now)
    cached = CachedSource(source)
    silences = active_silences(now) if rules else []
    for row in rules:
        try:
            _record(row, _read(row, cached, now), silences, now)
        except Exception:
            # One rule must not keep the others from being evaluated.
            logger.exception("Alert rule %s could not be evaluated", row.name)
            AlertRule.objects.filter(pk=row.pk).update(
                health="error", note="Slipway failed to evaluate it; see the log.", evaluated_at=now
            )
    return len(rules)


def active_silences(now: datetime) -> list[tuple[Matcher, ...]]:
    """The matchers of the silences in force."""
    rows = AlertSilence.objects.filter(starts_at__lte=now, ends_at__gt=now)
    return [tuple(Matcher(label, value) for label, value in row.matchers.items()) for row in rows]


def forget_old(now: datetime) -> int:
    """Deletes alerts that ended long ago, and silences with them."""
    AlertSilence.objects.filter(ends_at__lt=now - KEPT).delete()
    return Alert.objects.filter(ended_at__lt=now - KEPT).delete()[0]


def _claim(now: datetime) -> list[AlertRule]:
    ready = AlertRule.objects.filter(due(now, SELDOM), enabled=True)
    if not ready.exists():
        return []
    with transaction.atomic():
        rows = list(ready.select_for_update(skip_locked=True).order_by("name"))
        slow = [row.pk for row in rows if row.document.get("window_seconds", 0) >= LONG_WINDOW]
        AlertRule.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=now + EVERY)
        AlertRule.objects.filter(pk__in=slow).update(due_at=now + SELDOM)
    return rows


def _read(row: AlertRule, source: MetricsSource, now: datetime) -> Read:
    try:
        return Read(readings(row.rule, source, now))
    except MetricsUnavailable as error:
        return Read({}, f"the metrics provider did not answer: {error.message}")


def _record(row: AlertRule, read: Read, silences: list[tuple[Matcher, ...]], now: datetime) -> None:
    rule = row.rule
    with transaction.atomic():
        # The row's lock makes evaluations of one rule follow each other.
        AlertRule.objects.select_for_update().values_list("pk").get(pk=row.pk)
        alerts = {_subject(alert): alert for alert in row.alerts.filter(ended_at=None)}
        for subject in {**alerts, **read.values}:
            alert = alerts.get(subject)
            if alert is not None:
                alert.rule = row
            if read.problem and alert is not None and alert.state == State.PENDING.value:
                # Nobody knows whether the breach goes on; its clock runs, and the next data decides.
                continue
            _move(row, rule, subject, alert, read.values.get(subject), silences, now)
        measured = sum(value is not None for value in read.values.values())
        health = "error" if read.problem else "ok" if measured else "no_data"
        note = read.problem or ("" if measured else "no series that it covers had enough data")
        AlertRule.objects.filter(pk=row.pk).update(
            health=health,
            note=note[:500],
            watched=measured,
            evaluated_at=now,
            readings=_worst(rule, read.values),
        )


def _worst(rule: Rule, values: Mapping[Subject, float | None]) -> list[list[str | float]]:
    """The readings nearest to a breach first, so many as are kept."""
    known = [(subject, value) for subject, value in values.items() if value is not None]
    known.sort(key=lambda item: item[1], reverse=rule.operator == ">")
    return [[*subject, float(f"{value:.6g}")] for subject, value in known[:READINGS]]


def _subject(alert: Alert) -> Subject:
    return Subject(alert.endpoint, alert.model, alert.version, alert.column)


def _move(
    row: AlertRule,
    rule: Rule,
    subject: Subject,
    alert: Alert | None,
    value: float | None,
    silences: list[tuple[Matcher, ...]],
    now: datetime,
) -> None:
    taken = step(rule, alert.memory if alert else None, value, now)
    state = taken.memory.state
    if alert is None:
        if state not in OPEN:
            return
        alert = Alert(
            rule=row, endpoint=subject.endpoint, model=subject.model, version=subject.version,
            column=subject.column,
        )  # fmt: skip
    alert.severity, alert.state, alert.since = rule.severity, state.value, taken.memory.since
    alert.pending_since, alert.fired_at = taken.memory.pending_since, taken.memory.fired_at
    alert.ended_at = None if state in OPEN else now
    if value is not None:
        alert.value = value
        worst = alert.value if alert.worst is None else alert.worst
        alert.worst = max(worst, value) if rule.operator == ">" else min(worst, value)
    if alert.fired_at is None and state is State.INACTIVE:
        # It only was pending: a breach that did not last is no alert and leaves no trace.
        Alert.objects.filter(pk=alert.pk).delete()
        return
    alert.save()
    if taken.changed:
        AlertEvent.objects.create(alert=alert, at=now, kind=state.value, text=sentence(alert, rule)[:1000])
    _tell(alert, rule, silenced(alert.labels, silences), now)


def _tell(alert: Alert, rule: Rule, quiet: bool, now: datetime) -> None:
    """Tells of a firing alert once, and again at intervals; of its end if its beginning was told."""
    state = State(alert.state)
    if state is State.FIRING:
        again = alert.told_at is not None
        due = not again or now - alert.told_at >= timedelta(seconds=rule.repeat_seconds)  # type: ignore[operator]
        if quiet or not due or (again and alert.acknowledged_at is not None):
            return
        _notify(alert, rule, "alert.firing" if again else "alert.fired", f"fired/{now.timestamp():.0f}")
        alert.told_at, alert.told_no_data = now, False
    elif state is State.NO_DATA:
        patience = timedelta(seconds=max(rule.for_seconds, 60))
        if quiet or alert.told_at is None or alert.told_no_data or now - alert.since < patience:
            return
        _notify(alert, rule, "alert.no_data", f"no_data/{now.timestamp():.0f}")
        alert.told_no_data = True
    elif alert.told_at is not None:
        _notify(alert, rule, "alert.resolved" if state is State.RESOLVED else "alert.expired", "ended")
    else:
        return
    alert.save(update_fields=["told_at", "told_no_data"])


def _notify(alert: Alert, rule: Rule, kind: str, key: str) -> None:
    ended = alert.ended_at is not None
    told = notify(
        kind=kind,
        title=f"{'Resolved: ' if kind == 'alert.resolved' else ''}{title(alert)}",
        text=sentence(alert, rule) + (f" {rule.description}" if rule.description and not ended else ""),
        severity=Severity.INFO if ended else Severity(alert.severity),
        path=f"/alerts/{alert.pk}/",
        stream=f"alerts/{alert.pk}",
        key=f"alert/{alert.pk}/{key}",
    )
    AlertEvent.objects.create(
        alert=alert, at=alert.ended_at or alert.since, kind="told",
        text=f"{kind}: given to {told} target{'' if told == 1 else 's'}",
    )  # fmt: skip


def title(alert: Alert) -> str:
    """ "latency_p95 fires: churn-production v2"."""
    what = _BADGES.get(State(alert.state), alert.state)
    where = " ".join(
        part for part in (alert.endpoint, f"v{alert.version}" if alert.version else "", alert.column) if part
    )
    return f"{alert.rule.name} {what}: {where}".rstrip(": ")


def sentence(alert: Alert, rule: Rule) -> str:
    """What is the matter, with the numbers."""
    noun = rule.noun(alert.column)
    value = rule.figure(alert.value) if alert.value is not None else "unknown"
    limit = f"the rule says {rule.condition()}"
    match State(alert.state):
        case State.NO_DATA:
            return f"There is no data on the {noun}; it was {value} when it was last seen, and {limit}."
        case State.EXPIRED:
            return f"The {noun} has had no data for a day; the alert was put away."
        case State.RESOLVED:
            return f"The {noun} is {value} again; {limit}."
        case _:
            return f"The {noun} is {value}; {limit}."


def forgotten(rules: Iterable[AlertRule], actor: str, now: datetime, why: str) -> None:
    """Ends the open alerts of rules that are switched off or changed."""
    changes: dict[str, Any] = {"state": State.EXPIRED.value, "since": now, "ended_at": now}
    for alert in Alert.objects.filter(rule__in=list(rules), ended_at=None):
        AlertEvent.objects.create(alert=alert, at=now, kind=State.EXPIRED.value, text=why, actor=actor)
    Alert.objects.filter(rule__in=list(rules), ended_at=None).update(**changes)
