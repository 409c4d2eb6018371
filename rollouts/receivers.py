"""What rollouts answer when the registry asks: a version that serves, or may serve again, is not deleted."""

from __future__ import annotations

from typing import Any

from registry.models import Version
from rollouts.errors import Conflict
from rollouts.queries import uses_of


def refuse_while_in_use(sender: Any, version: Version, **kwargs: Any) -> None:
    """Receiver of `version_deleting`; Conflict names where the version is in use."""
    uses = uses_of(version)
    if uses:
        raise Conflict(
            f"{version} is in use: {'; '.join(uses)}.", hint="Release another version there first."
        )
