"""What must be right before Slipway starts, each with an id and a hint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from registry.domain.roles import RANK

_PORT = (
    "put", "open", "path_or_uri", "exists", "delete", "digests", "begin", "write_part", "part_url", "parts",
    "finish", "open_upload", "keep", "discard", "sweep",
)  # fmt: skip


def check_artifact_store(**_: Any) -> list[CheckMessage]:
    """E001: the store cannot be loaded. E002: it is no artifact store."""
    path = settings.SLIPWAY_ARTIFACT_STORE
    try:
        adapter = import_string(path)
    except ImportError as error:
        hint = "Set SLIPWAY_ARTIFACT_STORE to a class such as registry.adapters.filesystem.FilesystemStore."
        return [
            Error(f"The artifact store {path!r} cannot be loaded: {error}", hint=hint, id="registry.E001")
        ]
    missing = [name for name in _PORT if not callable(getattr(adapter, name, None))]
    if missing:
        return [
            Error(
                f"{path} is no artifact store: it lacks {', '.join(missing)}.",
                hint="See ArtifactStore in registry/ports.py.",
                id="registry.E002",
            )
        ]
    return []


def check_artifact_folder(**_: Any) -> list[CheckMessage]:
    """E003: the folder store has nowhere to write."""
    if not settings.SLIPWAY_ARTIFACT_STORE.startswith("registry.adapters.filesystem."):
        return []
    folder = Path(settings.SLIPWAY_ARTIFACT_FOLDER)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"Artifacts cannot be written to {folder}: {existing} is not a writable folder.",
            hint="Set SLIPWAY_ARTIFACT_FOLDER, or SLIPWAY_HOME, to a folder you can write to.",
            id="registry.E003",
        )
    ]


def check_bucket(**_: Any) -> list[CheckMessage]:
    """E005: the S3 store has no bucket."""
    is_s3 = settings.SLIPWAY_ARTIFACT_STORE.startswith("registry.adapters.s3.")
    bucket: str = getattr(settings, "SLIPWAY_S3_BUCKET", "")
    if bucket or not is_s3:
        return []
    hint = "Set SLIPWAY_S3_BUCKET (and SLIPWAY_S3_ENDPOINT for a service that is not Amazon's)."
    return [Error("The S3 artifact store has no bucket.", hint=hint, id="registry.E005")]


def check_limits(**_: Any) -> list[CheckMessage]:
    """E004: no artifact would be small enough."""
    if settings.SLIPWAY_MAX_ARTIFACT_MB >= 1:
        return []
    return [
        Error(
            f"SLIPWAY_MAX_ARTIFACT_MB is {settings.SLIPWAY_MAX_ARTIFACT_MB}; nothing could be registered.",
            hint="Set it to the largest artifact you accept, in MiB.",
            id="registry.E004",
        )
    ]


def check_openid(**_: Any) -> list[CheckMessage]:
    """E006: single sign-on lacks something. E007: it gives a role that there is not."""
    issuer: str = settings.SLIPWAY_OIDC_ISSUER
    if not issuer:
        return []
    found: list[CheckMessage] = []
    lacking = [
        name
        for name in ("SLIPWAY_OIDC_CLIENT_ID", "SLIPWAY_OIDC_CLIENT_SECRET")
        if not getattr(settings, name)
    ]
    if lacking:
        hint = "Register Slipway at the identity provider; see docs/identity.md."
        found.append(Error(f"Single sign-on lacks {', '.join(lacking)}.", hint=hint, id="registry.E006"))
    parts = urlsplit(issuer)
    if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        hint = "Only https proves who answers; http is for a provider on this machine."
        found.append(Error(f"SLIPWAY_OIDC_ISSUER is {issuer!r}.", hint=hint, id="registry.E006"))
    unknown = sorted(set(settings.SLIPWAY_OIDC_ROLES.values()) - set(RANK))
    if unknown:
        hint = f"Roles are {', '.join(RANK)}."
        found.append(Error(f"SLIPWAY_OIDC_ROLES gives {', '.join(unknown)}.", hint=hint, id="registry.E007"))
    return found
