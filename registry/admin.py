"""Read-only windows for administrators; every change goes through the services, so it is audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from registry.models import Alias, ApiToken, AuditEntry, Metric, Model, Version

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin


class ReadOnlyAdmin(_Admin):
    """Shows rows and changes none."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Model)
class ModelAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner_team", "last_number", "created_at", "deleted_at")
    search_fields = ("name", "owner_team")


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    list_display = ("model", "number", "label", "digest", "size", "created_by", "created_at", "deleted_at")
    list_select_related = ("model",)
    search_fields = ("model__name", "digest", "git_sha")


@admin.register(Metric)
class MetricAdmin(ReadOnlyAdmin):
    list_display = ("version", "name", "step", "value", "at")
    list_select_related = ("version__model",)


@admin.register(Alias)
class AliasAdmin(ReadOnlyAdmin):
    list_display = ("model", "name", "version", "updated_at")
    list_select_related = ("model", "version__model")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("user", "name", "prefix", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("user",)
    exclude = ("digest",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("sequence", "at", "actor_name", "action", "target", "reason")
    list_filter = ("action",)
    search_fields = ("target", "actor_name")
