"""Rows as the JSON documents of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry import queries
from registry.models import (
    Alias,
    ApiToken,
    AuditEntry,
    Intake,
    Model,
    RoleGrant,
    ServiceAccount,
    Version,
)

SAID = (
    "label", "state", "problem", "digest", "size", "file_count", "filename", "reference_digest", "format",
    "framework", "signature", "feature_names",
    "feature_schema_version", "hyperparameters", "git_sha", "training_run", "dataset_ref", "dataset_digest",
    "dependencies", "tags", "notes", "findings", "created_by", "created_at",
)  # fmt: skip


def model_document(model: Model, aliases: Mapping[str, int] | None = None) -> dict[str, Any]:
    """A model, with these aliases or those it has loaded; `versions` is the highest number given so far."""
    return {
        "name": model.name,
        "owner_team": model.owner_team,
        "description": model.description,
        "tags": model.tags,
        "versions": model.last_number,
        "aliases": {alias.name: alias.version.number for alias in model.aliases.all()}
        if aliases is None
        else aliases,
        "created_by": model.created_by,
        "created_at": model.created_at,
        "updated_at": model.updated_at,
    }


def version_summary(version: Version) -> dict[str, Any]:
    """A version as lists show it: everything but the two large documents."""
    return {
        "model": version.model.name,
        "number": version.number,
        "parent": version.parent.number if version.parent else None,
        "metrics": {metric.name: metric.value for metric in version.latest_metrics.all()},
        "aliases": [alias.name for alias in version.aliases.all()],
        **{name: getattr(version, name) for name in SAID},
    }


def version_document(version: Version) -> dict[str, Any]:
    """The whole version, with its baseline profile and what the inspection found."""
    return version_summary(version) | {
        "profile": version.profile,
        "inspection": version.inspection,
        "progress": progress_document(queries.intake_of(version)),
    }


def progress_document(intake: Intake | None) -> dict[str, Any] | None:
    """How far the verification of an unfinished version is."""
    if intake is None:
        return None
    return {
        "done_bytes": intake.done_bytes,
        "total_bytes": intake.total_bytes,
        "percent": intake.percent,
    }


def alias_document(alias: Alias) -> dict[str, Any]:
    """An alias and the version it points at."""
    return {"name": alias.name, "version": alias.version.number, "updated_at": alias.updated_at}


def token_document(token: ApiToken, now: datetime) -> dict[str, Any]:
    """A token without its secret, whose user and model are loaded; `state` at `now`."""
    return {
        "id": token.pk,
        "name": token.name,
        "user": token.user.get_username(),
        "prefix": token.prefix,
        "state": token.state(now),
        "scopes": token.scopes,
        "team": token.team or None,
        "model": token.model.name if token.model else None,
        "created_by": token.created_by,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }


def grant_document(grant: RoleGrant) -> dict[str, Any]:
    """A role and where it holds: on `model`, on the models of `team`, or (both null) on everything."""
    return {
        "id": grant.pk,
        "user": grant.user.get_username(),
        "role": grant.role,
        "team": grant.team or None,
        "model": grant.model.name if grant.model else None,
        "source": grant.source,
        "granted_by": grant.granted_by,
        "granted_at": grant.granted_at,
    }


def account_document(account: ServiceAccount) -> dict[str, Any]:
    """A service account."""
    return {
        "name": account.user.get_username(),
        "description": account.description,
        "created_by": account.created_by,
        "created_at": account.created_at,
    }


def audit_document(entry: AuditEntry, *, private: bool) -> dict[str, Any]:
    """An audit entry; network addresses are for administrators (`private`)."""
    document = {
        "sequence": entry.sequence,
        "at": entry.at,
        "actor": {
            "kind": entry.actor_kind,
            "id": entry.actor_id,
            "name": entry.actor_name,
            "token": entry.via,
        },
        "action": entry.action,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "previous": entry.previous,
        "digest": entry.digest,
    }
    return document | ({"address": entry.address} if private else {})
