"""Training asked for because a model drifted or got worse, and what came of it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from registry.models import Version
from rollouts.models.endpoints import Endpoint
from rollouts.models.rollouts import Rollout


class RetrainingRule(models.Model):
    """An endpoint's policy; `document` is that of `rollouts.domain.retraining.RetrainingPolicy`."""

    endpoint = models.OneToOneField(Endpoint, on_delete=models.CASCADE, related_name="retraining")
    document = models.JSONField(default=dict)
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"retraining of {self.endpoint_id}"


class RetrainingRun(models.Model):
    """One request for training. `key` is what the version that comes back names.

    state: `asked` (not delivered yet), `waiting` (delivered), `started` (its version is rolled out),
    `refused` (its version may not be), `failed` (not delivered), `expired` (nothing came back).
    """

    key = models.CharField(max_length=64, unique=True)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="retraining_runs")
    policy = models.JSONField(help_text="The policy as it was when training was asked for.")
    cause = models.TextField()
    evidence = models.JSONField(default=dict)
    state = models.CharField(max_length=16, default="asked", db_index=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    outcome = models.TextField(blank=True)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+", null=True)
    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"
