"""Where models are served: environments, endpoints, what serves on them and what served when."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.models import Model, Version
from registry.models.fields import Kept, KeptQuerySet


class Environment(models.Model):
    """Where endpoints live: staging, production.

    alias is moved to the version that becomes stable here ("champion" in production). policy is the
    document of `rollouts.domain.policy.Policy`. target names the cluster and the router (`rollouts.targets`).
    """

    name = models.CharField(max_length=63, unique=True)
    alias = models.CharField(max_length=128)
    policy = models.JSONField(default=dict, blank=True)
    target = models.CharField(max_length=53, default="default")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Endpoint(models.Model):
    """One model served in one environment.

    generation rises with every recorded decision that changes the desired world; adapters refuse
    older ones. active is the rollout that has not ended, so that one query reads both in one moment.
    look_at is when the next tick is due, asked_by the trace (W3C traceparent) of the request that moved it
    there, if it is traced. observed is what the last tick saw.
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
    asked_by = models.CharField(max_length=64, blank=True, default="", db_default="")
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

    def serves(self, version: Version) -> bool:
        """Whether the version is the stable one here."""
        return self.stable is not None and self.stable.version_id == version.pk


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
