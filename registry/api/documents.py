"""Rows as the JSON documents of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from registry.models import ApiToken, AuditEntry, RoleGrant, ServiceAccount


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
