"""Read-only windows for administrators; every change goes through the services."""

from __future__ import annotations

from django.contrib import admin

from registry.admin import ReadOnlyAdmin
from rollouts.models import (
    Approval,
    Endpoint,
    Environment,
    FreezeWindow,
    Look,
    PlanTemplate,
    PlanTemplateVersion,
    Release,
    Rollout,
    Tenure,
    Transition,
)


@admin.register(Rollout)
class RolloutAdmin(ReadOnlyAdmin):
    list_display = ("id", "endpoint", "strategy", "phase", "step", "created_by", "created_at")
    list_filter = ("phase", "strategy")
    list_select_related = ("endpoint",)


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    list_display = ("name", "model", "environment", "replicas", "generation")
    list_select_related = ("model", "environment")


@admin.register(Transition)
class TransitionAdmin(ReadOnlyAdmin):
    list_display = ("rollout", "number", "at", "from_phase", "to_phase", "actor")
    list_select_related = ("rollout",)


for _model in (Environment, Release, Look, Approval, FreezeWindow, Tenure, PlanTemplate, PlanTemplateVersion):
    admin.site.register(_model, ReadOnlyAdmin)
