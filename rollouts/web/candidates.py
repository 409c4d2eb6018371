"""Versions that a new rollout of an endpoint may name."""

from __future__ import annotations

from collections.abc import Sequence

from registry.models import Version
from rollouts.models import Endpoint

# A select box with more entries helps nobody; any version can be rolled out through the API.
LIMIT = 200


def candidates(endpoint: Endpoint) -> Sequence[Version]:
    """The model's versions that are not deleted and not stable already, newest first."""
    rows = Version.objects.filter(model_id=endpoint.model_id, deleted_at=None).select_related("model")
    if endpoint.stable is not None:
        rows = rows.exclude(pk=endpoint.stable.version_id)
    return list(rows.order_by("-number")[:LIMIT])
