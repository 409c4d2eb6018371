"""What rollouts answer when the registry asks: what serves or may serve again, what no server can run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Max, Q

from registry.domain.names import CHAMPION
from registry.models import Model, Version
from rollouts import abilities
from rollouts.domain.serves import OURS
from rollouts.errors import Conflict
from rollouts.models import Tenure
from rollouts.queries import environments, uses_of


def refuse_while_in_use(sender: Any, version: Version, **kwargs: Any) -> None:
    """Receiver of `version_deleting`; Conflict names where the version is in use."""
    uses = uses_of(version)
    if uses:
        raise Conflict(
            f"{version} is in use: {'; '.join(uses)}.", hint="Release another version there first."
        )


def served_nowhere(sender: Any, versions: Iterable[Version], **kwargs: Any) -> dict[int, str]:
    """Receiver of `serving_asked`: what every environment's servers refuse; without environments, ours."""
    servers = [abilities.serves(environment) for environment in environments()] or [OURS]
    return abilities.unserved(versions, servers)


def served_production(sender: Any, model: Model, now: datetime, **kwargs: Any) -> dict[int, datetime]:
    """Receiver of `production_asked`: production is where the alias `champion` follows the stable version."""
    there = Tenure.objects.filter(endpoint__model=model, endpoint__environment__alias=CHAMPION)
    rows = there.values("release__version__number").annotate(
        last=Max("end"), open=Max("pk", filter=Q(end=None))
    )
    return {row["release__version__number"]: now if row["open"] else row["last"] for row in rows.order_by()}
