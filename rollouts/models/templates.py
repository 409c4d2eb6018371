"""What people keep under a name and use again and again: plans, and gates."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from registry.models import Model
from registry.models.fields import Kept, KeptQuerySet
from rollouts.models.endpoints import Environment


class Template(models.Model):
    """A name and where it fits: model and environment, None means everywhere; its versions say the rest."""

    name = models.CharField(max_length=53, unique=True)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    environment = models.ForeignKey(
        Environment, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class TemplateVersion(Kept):
    """What a template said from some moment on; a change is a new version.

    template is the foreign key of the concrete class.
    """

    template: models.ForeignKey[Template, Template]
    number = models.PositiveIntegerField()
    reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering = ("template", "-number")

    def __str__(self) -> str:
        return f"{self.template}@{self.number}"


class PlanTemplate(Template):
    """A named plan."""


class PlanTemplateVersion(TemplateVersion):
    """A strategy with its parameters."""

    template = models.ForeignKey(PlanTemplate, on_delete=models.PROTECT, related_name="versions")
    strategy = models.CharField(max_length=32)
    parameters = models.JSONField(default=dict, blank=True)

    objects: ClassVar[models.Manager[PlanTemplateVersion]] = KeptQuerySet.as_manager()

    class Meta(TemplateVersion.Meta):
        constraints = (
            models.UniqueConstraint(fields=("template", "number"), name="plan_template_number_is_unique"),
        )


class GateTemplate(Template):
    """Named gates."""


class GateTemplateVersion(TemplateVersion):
    """A list of gates."""

    template = models.ForeignKey(GateTemplate, on_delete=models.PROTECT, related_name="versions")
    gates = models.JSONField(help_text="As a plan has them, every field written out.")

    objects: ClassVar[models.Manager[GateTemplateVersion]] = KeptQuerySet.as_manager()

    class Meta(TemplateVersion.Meta):
        constraints = (
            models.UniqueConstraint(fields=("template", "number"), name="gate_template_number_is_unique"),
        )
