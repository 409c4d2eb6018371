"""Plans that people keep under a name and start again and again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from registry.models import Model
from registry.models.fields import Kept, KeptQuerySet
from rollouts.models.endpoints import Environment


class PlanTemplate(models.Model):
    """A named plan. model and environment say where it fits; None means everywhere."""

    name = models.CharField(max_length=53, unique=True)
    model = models.ForeignKey(
        Model, on_delete=models.PROTECT, related_name="plan_templates", null=True, blank=True
    )
    environment = models.ForeignKey(
        Environment, on_delete=models.PROTECT, related_name="plan_templates", null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class PlanTemplateVersion(Kept):
    """What the template said from some moment on; a change is a new version."""

    template = models.ForeignKey(PlanTemplate, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    strategy = models.CharField(max_length=32)
    parameters = models.JSONField(default=dict, blank=True)
    reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[PlanTemplateVersion]] = KeptQuerySet.as_manager()

    class Meta:
        ordering = ("template", "-number")
        constraints = (
            models.UniqueConstraint(fields=("template", "number"), name="plan_template_number_is_unique"),
        )

    def __str__(self) -> str:
        return f"{self.template}@{self.number}"


class GateTemplate(models.Model):
    """Named gates. model and environment say where they fit; None means everywhere."""

    name = models.CharField(max_length=53, unique=True)
    model = models.ForeignKey(
        Model, on_delete=models.PROTECT, related_name="gate_templates", null=True, blank=True
    )
    environment = models.ForeignKey(
        Environment, on_delete=models.PROTECT, related_name="gate_templates", null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class GateTemplateVersion(Kept):
    """What the gates said from some moment on; a change is a new version."""

    template = models.ForeignKey(GateTemplate, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    gates = models.JSONField(help_text="As a plan has them, every field written out.")
    reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[GateTemplateVersion]] = KeptQuerySet.as_manager()

    class Meta:
        ordering = ("template", "-number")
        constraints = (
            models.UniqueConstraint(fields=("template", "number"), name="gate_template_number_is_unique"),
        )

    def __str__(self) -> str:
        return f"{self.template}@{self.number}"
