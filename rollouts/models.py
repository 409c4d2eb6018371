"""Rows of the rollouts app: intent is written here, and what happened is kept here."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.models import Model, Version
from registry.models.fields import Kept, KeptQuerySet
from rollouts.domain.phases import ACTIVE, Phase

PHASES = [(phase.value, phase.value.replace("_", " ")) for phase in Phase]


class Environment(models.Model):
    """Where endpoints live: staging, production.

    alias is moved to the version that becomes stable here ("champion" in production). policy is the
    document of `rollouts.domain.policy.Policy`.
    """

    name = models.CharField(max_length=63, unique=True)
    alias = models.CharField(max_length=128)
    policy = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Endpoint(models.Model):
    """One model served in one environment.

    generation rises with every recorded decision that changes the desired world; adapters refuse
    older ones. active is the rollout that has not ended, so that one query reads both in one moment.
    look_at is when the next tick is due. observed is what the last tick saw.
    """

    name = models.CharField(max_length=53, unique=True)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="endpoints")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="endpoints")
    replicas = models.PositiveIntegerField(default=1)
    stable = models.ForeignKey("Release", on_delete=models.PROTECT, related_name="+", null=True)
    previous = models.ForeignKey("Release", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    active = models.ForeignKey("Rollout", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    queued = models.ForeignKey("Rollout", on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    generation = models.PositiveBigIntegerField(default=1)
    look_at = models.DateTimeField(default=timezone.now, db_index=True)
    observed = models.JSONField(default=dict, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("model", "environment"), name="one_endpoint_per_model_and_environment"
            ),
        )

    def __str__(self) -> str:
        return self.name


class Release(Kept):
    """A version made ready to be served on an endpoint: digest pinned, histograms fixed.

    The histograms are part of what runs, so they never change while its servers live.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="releases")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=71)
    histograms = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Release]] = KeptQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.endpoint_id}: version {self.version_id}"


class Tenure(models.Model):
    """From when until when a release was an endpoint's stable one: what served, to the second."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="tenures")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    rollout = models.ForeignKey("Rollout", on_delete=models.PROTECT, related_name="+", null=True)
    start = models.DateTimeField()
    end = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-start",)
        indexes = (models.Index(fields=("endpoint", "-start"), name="tenure_by_start"),)
        constraints = (
            models.UniqueConstraint(
                fields=("endpoint",), condition=Q(end=None), name="one_open_tenure_per_endpoint"
            ),
        )

    def __str__(self) -> str:
        return f"from {self.start} to {self.end or 'now'}"


class Rollout(models.Model):
    """Moving one endpoint from its stable release to a candidate, with a frozen plan.

    plan_digest is what approvals are bound to. earlier is the success of the same artifact in the
    environment that the policy asks for: its evidence comes along. override: the glass was broken.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="rollouts")
    stable = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    candidate = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    strategy = models.CharField(max_length=32)
    parameters = models.JSONField(default=dict, blank=True)
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
