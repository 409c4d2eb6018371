"""Requests that two versions of an endpoint answered, paired by request id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Subquery

from monitoring.domain.pairs import Pair
from monitoring.domain.window import Window
from monitoring.models import Prediction

# The newest so many of a window are compared; a sampled rate seldom brings more.
MAX_PAIRS = 50_000


@dataclass(frozen=True, slots=True)
class Paired:
    """The pairs of one output; `outputs` are the names of all outputs that can be compared."""

    output: str
    outputs: tuple[str, ...]
    pairs: tuple[Pair, ...]


def paired(
    endpoint: str,
    stable: str,
    candidate: str,
    window: Window,
    *,
    output: str | None = None,
    profile: Mapping[str, Any] | None = None,
) -> Paired:
    """The candidate's predictions of the window with the stable version's of the same request.

    `output` None chooses the first of the candidate's profile, or else by name. Without pairs `output` is
    what was asked for, or "".
    """
    same = Prediction.objects.filter(
        endpoint=OuterRef("endpoint"), request_id=OuterRef("request_id"), version=stable
    )
    rows: Any = (
        Prediction.objects.filter(
            endpoint=endpoint,
            version=candidate,
            at__gt=window.start.timestamp(),
            at__lte=window.end.timestamp(),
        )
        .annotate(other=Subquery(same.values("outputs")[:1]))
        .order_by("-at")
        .values_list("request_id", "at", "segment", "outputs", "other")[:MAX_PAIRS]
    )
    both = [row for row in rows if row[4] is not None]
    names = sorted({name for row in both[:100] for name in row[3] if name in row[4]})
    chosen = output or _first(names, profile)
    pairs = tuple(
        Pair(request_id, at, other[chosen], own[chosen], segment)
        for request_id, at, segment, own, other in both
        if chosen in own and chosen in other
    )
    return Paired(chosen, tuple(names), pairs)


def _first(names: Sequence[str], profile: Mapping[str, Any] | None) -> str:
    """The profile's first output among `names`, by its own name or its tensor's; else the first by name."""
    for item in (profile or {}).get("outputs") or []:
        for name in (item["name"], item.get("tensor")):
            if name in names:
                return str(name)
    return names[0] if names else ""
