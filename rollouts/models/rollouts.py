"""A rollout and everything that is kept of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from registry.models.fields import Kept, KeptQuerySet
from rollouts.domain.phases import ACTIVE, Phase
from rollouts.models.endpoints import Endpoint, Release
from rollouts.models.templates import PlanTemplateVersion

PHASES = [(phase.value, phase.value.replace("_", " ")) for phase in Phase]


class Rollout(models.Model):
    """Moving one endpoint from its stable release to a candidate, with a frozen plan.

    template: the named plan it was started from, if any; the plan itself is in the row. plan_digest is what
    approvals are bound to. earlier is the success of the same artifact in the
    environment that the policy asks for: its evidence comes along. override: the glass was broken.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="rollouts")
    stable = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    candidate = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    strategy = models.CharField(max_length=32)
    parameters = models.JSONField(default=dict, blank=True)
    template = models.ForeignKey(
        PlanTemplateVersion, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    plan = models.JSONField()
    plan_digest = models.CharField(max_length=64)
    earlier = models.ForeignKey("self", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    start_reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    author_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    # The machine's state; every change is one compare-and-set on `revision`.
    revision = models.PositiveIntegerField(default=0)
    phase = models.CharField(max_length=20, choices=PHASES, default=Phase.PENDING.value)
    step = models.PositiveIntegerField(default=0)
    step_started_at = models.DateTimeField()
    exposed_at = models.DateTimeField(null=True, blank=True)
    last_look_at = models.DateTimeField(null=True, blank=True)
    looks = models.PositiveIntegerField(default=0)
    unready_since = models.DateTimeField(null=True, blank=True)
    lapses = models.PositiveIntegerField(default=0)
    rolling_back_since = models.DateTimeField(null=True, blank=True)
    override = models.BooleanField(default=False)
    ending = models.CharField(max_length=20, choices=PHASES, default=Phase.ROLLED_BACK.value)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("phase", "-id"), name="rollout_by_phase"),)
        constraints = (
            models.UniqueConstraint(
                fields=("endpoint",),
                condition=Q(phase__in=sorted(phase.value for phase in ACTIVE)),
                name="one_active_rollout_per_endpoint",
            ),
            models.UniqueConstraint(
                fields=("endpoint",),
                condition=Q(phase=Phase.QUEUED.value),
                name="one_queued_rollout_per_endpoint",
            ),
        )

    def __str__(self) -> str:
        return f"rollout {self.pk}"


class Transition(Kept):
    """One move of a rollout: its timeline, its audit trail and the outbox of notices in one row."""

    MUTABLE: ClassVar[frozenset[str]] = frozenset({"notified_at"})

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="transitions")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    from_phase = models.CharField(max_length=20)
    to_phase = models.CharField(max_length=20)
    step = models.PositiveIntegerField()
    weight = models.PositiveSmallIntegerField()
    actor = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    evidence = models.JSONField(null=True, blank=True)
    notified_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[Transition]] = KeptQuerySet.as_manager()

    class Meta:
        ordering = ("rollout", "number")
        constraints = (
            models.UniqueConstraint(fields=("rollout", "number"), name="transition_number_is_unique"),
        )
        indexes = (models.Index(fields=("id",), condition=Q(notified_at=None), name="transition_untold"),)

    def __str__(self) -> str:
        return f"{self.from_phase} to {self.to_phase}"


class Look(Kept):
    """One look at the gates of a rollout: the verdict with every number it rests on."""

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="look_log")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    step = models.PositiveIntegerField()
    verdict = models.CharField(max_length=16)
    judgement = models.JSONField()

    objects: ClassVar[models.Manager[Look]] = KeptQuerySet.as_manager()

    class Meta:
        ordering = ("rollout", "-number")
        constraints = (models.UniqueConstraint(fields=("rollout", "number"), name="look_number_is_unique"),)

    def __str__(self) -> str:
        return f"look {self.number}: {self.verdict}"
