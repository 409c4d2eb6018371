"""Webhooks that may be asked or told, and every call to one."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.models.sealed import SealedField
from rollouts.models.rollouts import Rollout


class Webhook(models.Model):
    """A receiver that plans and policies name. Its address may hold a token, so only `host` is shown."""

    name = models.CharField(max_length=63, unique=True)
    url = SealedField()
    secret = SealedField()
    host = models.CharField(max_length=255)
    active = models.BooleanField(default=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class HookCall(models.Model):
    """One question to a webhook, or one thing it is told, with its answer; the outbox of hooks.

    asked_at binds a question to one stay in one step. allowed: the answer. due_at: the next attempt.
    ended_at: answered, told, or given up.
    """

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="hook_calls")
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="calls")
    moment = models.CharField(max_length=10)
    step = models.PositiveIntegerField()
    asked_at = models.DateTimeField()
    delivery = models.UUIDField(default=uuid.uuid4, unique=True)
    due_at = models.DateTimeField(default=timezone.now)
    deadline = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    allowed = models.BooleanField(null=True)
    reason = models.TextField(blank=True)
    status = models.PositiveSmallIntegerField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("rollout", "webhook", "moment", "step", "asked_at"), name="one_call_per_question"
            ),
        )
        indexes = (models.Index(fields=("due_at",), condition=Q(ended_at=None), name="hook_call_due"),)

    def __str__(self) -> str:
        return f"{self.webhook_id} on {self.moment} of rollout {self.rollout_id}"
