"""Which versions of a model nobody needs any more: a pure function of what served production, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

DEFAULT_KEEP = 5
# A version that never served may still be a candidate; older than this, and overtaken, it is none.
CANDIDATE_AGE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live, settled version: its number, when it was registered, and whether an alias names it."""

    number: int
    created_at: datetime
    named: bool


def expendable(
    versions: Iterable[Candidate], served: Mapping[int, datetime], *, keep: int, now: datetime
) -> dict[int, str]:
    """Numbers that may go, each with the reason; `served` says until when a version served production.

    Kept are: the last `keep` that served production, what an alias names, what is newer than the newest that
    served, and what is younger than 30 days. Nothing goes before something served, or if `keep` is 0.
    """
    if not keep or not served:
        return {}
    order = sorted(served, key=lambda number: (served[number], number), reverse=True)
    kept, newest = set(order[:keep]), max(served)
    found = {}
    for version in versions:
        if version.named or version.number in kept:
            continue
        if version.number in served:
            until = f"{served[version.number]:%Y-%m-%d}"
            found[version.number] = f"served production until {until}, not among the last {keep}"
        elif version.number < newest and version.created_at < now - CANDIDATE_AGE:
            found[version.number] = f"never served production and was overtaken by version {newest}"
    return found
