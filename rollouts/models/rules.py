"""What people decide: answers to approval steps, and freeze windows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from registry.models.fields import Kept, KeptQuerySet
from rollouts.models.endpoints import Environment
from rollouts.models.rollouts import Rollout


class Approval(Kept):
    """One person's answer to an approval step, bound to the artifact and the plan that were shown."""

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="+")
    step = models.PositiveIntegerField()
    approve = models.BooleanField()
    voter = models.CharField(max_length=150)
    voter_id = models.BigIntegerField()
    role = models.CharField(max_length=64)
    comment = models.TextField(blank=True)
    digest = models.CharField(max_length=71)
    plan_digest = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Approval]] = KeptQuerySet.as_manager()

    class Meta:
        ordering = ("rollout", "step", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("rollout", "step", "voter_id"), name="one_vote_per_person_and_step"
            ),
        )

    def __str__(self) -> str:
        return f"{self.voter} {'approved' if self.approve else 'refused'}"


class FreezeWindow(models.Model):
    """A stretch of time, once or recurring, in which no share grows; environment None means everywhere."""

    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="freezes", null=True, blank=True
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    rule = models.CharField(max_length=200, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    reason = models.CharField(max_length=200)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("starts_at",)

    def __str__(self) -> str:
        return self.reason
