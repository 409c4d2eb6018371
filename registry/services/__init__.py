"""Everything that changes the registry: one verb, one function, each with actor, reason and audit entry."""

from __future__ import annotations

from registry.services.access import (
    create_service_account,
    disable_service_account,
    grant_role,
    revoke_role,
)
from registry.services.aliases import delete_alias, set_alias
from registry.services.baselines import attach_profile
from registry.services.intake import submit_version
from registry.services.measuring import add_metrics
from registry.services.models import create_model, delete_model, update_model
from registry.services.naming import rename_model, tag_model, tag_version
from registry.services.people import change_password, create_person, link_identity, sign_on
from registry.services.recording import adopt_version, describe_version, move_stage
from registry.services.versions import annotate_version, delete_version, register_version

__all__ = [
    "add_metrics",
    "adopt_version",
    "annotate_version",
    "change_password",
    "attach_profile",
    "create_model",
    "create_person",
    "create_service_account",
    "delete_alias",
    "delete_model",
    "delete_version",
    "describe_version",
    "disable_service_account",
    "grant_role",
    "link_identity",
    "move_stage",
    "register_version",
    "rename_model",
    "revoke_role",
    "set_alias",
    "sign_on",
    "submit_version",
    "tag_model",
    "tag_version",
    "update_model",
]
