"""Which adapter stands behind each port, as the settings name it."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from registry.ports import ArtifactStore


def artifact_store() -> ArtifactStore:
    """The store named by `SLIPWAY_ARTIFACT_STORE`."""
    return cast(ArtifactStore, import_string(settings.SLIPWAY_ARTIFACT_STORE)())
