"""Alert rules, alerts with their history, and silences."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from monitoring.domain.alerts import OPEN, Memory, Rule, State, parse_rule

HEALTH = (("ok", "ok"), ("no_data", "no data"), ("error", "error"), ("new", "not evaluated yet"))


class AlertRule(models.Model):
    """A rule as `document` says (`monitoring.domain.alerts.rules`).

    health: whether the newest evaluation had data; note: why not; readings: what it measured. due_at: not
    before it is it evaluated.
    """

    name = models.CharField(max_length=63, unique=True)
    document = models.JSONField()
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField(auto_now=True)
    due_at = models.DateTimeField(default=timezone.now, db_index=True)
    evaluated_at = models.DateTimeField(null=True, blank=True)
    health = models.CharField(max_length=10, choices=HEALTH, default="new")
    note = models.CharField(max_length=500, blank=True)
    readings = models.JSONField(default=list, help_text="[endpoint, model, version, column, value] each.")
    watched = models.PositiveIntegerField(default=0, help_text="Series that had data.")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def rule(self) -> Rule:
        return parse_rule(self.document)


class Alert(models.Model):
    """One breach of a rule by one series, from its first bad value to its end.

    told_at: when somebody was told last that it fires; told_no_data: and that its data is missing.
    """

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    endpoint = models.CharField(max_length=100, blank=True)
    model = models.CharField(max_length=100, blank=True)
    version = models.CharField(max_length=64, blank=True)
    column = models.CharField(max_length=200, blank=True)
    severity = models.CharField(max_length=10)
    state = models.CharField(max_length=10)
    since = models.DateTimeField()
    pending_since = models.DateTimeField(null=True)
    fired_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    value = models.FloatField(null=True)
    worst = models.FloatField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    acknowledged_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=1000, blank=True)
    told_at = models.DateTimeField(null=True)
    told_no_data = models.BooleanField(default=False)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("rule", "endpoint", "model", "version", "column"),
                condition=models.Q(ended_at=None),
                name="one_open_alert_per_series",
            ),
        )
        indexes = (
            models.Index(fields=("-fired_at",), name="alert_fired"),
            models.Index(fields=("rule",), condition=models.Q(ended_at=None), name="alert_open"),
        )

    def __str__(self) -> str:
        return f"{self.rule.name} {self.endpoint} {self.version} {self.column}".strip()

    @property
    def memory(self) -> Memory:
        return Memory(State(self.state), self.since, self.pending_since, self.fired_at)

    @property
    def is_open(self) -> bool:
        return State(self.state) in OPEN

    @property
    def labels(self) -> dict[str, str]:
        """What silences are matched against."""
        return {
            "rule": self.rule.name, "severity": self.severity, "endpoint": self.endpoint,
            "model": self.model, "version": self.version, "column": self.column,
        }  # fmt: skip


class AlertEvent(models.Model):
    """One line of an alert's history: a change of state, or what somebody did about it."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=16, help_text="A state, or: acknowledged, told.")
    text = models.CharField(max_length=1000)
    actor = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.alert_id}: {self.text}"


class AlertSilence(models.Model):
    """Nobody is told of alerts whose labels all match, from `starts_at` until `ends_at`."""

    matchers = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)
    reason = models.CharField(max_length=1000)
    created_by = models.CharField(max_length=150)
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ("-ends_at",)

    def __str__(self) -> str:
        return ", ".join(f"{label}={value}" for label, value in self.matchers.items())
