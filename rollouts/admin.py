"""Read-only windows for administrators; every change goes through the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from rollouts.models import Endpoint, Environment, Look, Release, Rollout, Transition

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(_ModelAdmin):
    """Shows rows and changes none."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


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


for _model in (Environment, Release, Look):
    admin.site.register(_model, ReadOnlyAdmin)
