"""Where a version comes from and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from registry.models import Version

GENERATIONS = 50
CHILDREN = 100
# Both databases know recursive queries; the depth ends chains that somebody made endless by SQL.
_ANCESTORS = """
    WITH RECURSIVE up(id, parent_id, depth) AS (
        SELECT id, parent_id, 0 FROM registry_version WHERE id = %s
        UNION ALL
        SELECT v.id, v.parent_id, up.depth + 1
        FROM registry_version v JOIN up ON v.id = up.parent_id WHERE up.depth < %s
    )
    SELECT id FROM up WHERE depth > 0 ORDER BY depth
"""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Versions before this one, the nearest first, and those trained from it; ancestors that were deleted are
    named too. `siblings` were trained on the same data."""

    version: Version
    ancestors: tuple[Version, ...]
    children: tuple[Version, ...]
    siblings: tuple[Version, ...]


def lineage_of(version: Version) -> Lineage:
    """At most GENERATIONS ancestors and CHILDREN children and siblings, all of its own model; 4 queries."""
    with connection.cursor() as cursor:
        cursor.execute(_ANCESTORS, [version.pk, GENERATIONS])
        ids = [row[0] for row in cursor.fetchall()]
    rows = _named().in_bulk(ids)
    siblings = _named().filter(
        model_id=version.model_id, dataset_digest=version.dataset_digest, deleted_at=None
    )
    same = siblings.exclude(pk=version.pk).order_by("-number")[:CHILDREN] if version.dataset_digest else ()
    children = _named().filter(parent=version, deleted_at=None).order_by("number")[:CHILDREN]
    found = Lineage(version, tuple(rows[pk] for pk in ids), tuple(children), tuple(same))
    for kin in (*found.ancestors, *found.children, *found.siblings):
        kin.model = version.model
    return found


def _named() -> QuerySet[Version]:
    return Version.objects.only(
        "number", "label", "digest", "training_run", "dataset_ref", "dataset_digest", "git_sha",
        "created_at", "deleted_at", "model_id",
    )  # fmt: skip
