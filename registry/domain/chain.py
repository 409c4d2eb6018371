"""The hash chain of the audit trail, as arithmetic on plain documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as the chain sees it: its place, its content, and the two digests stored with it."""

    sequence: int
    content: Mapping[str, Any]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of a walk: how many entries hold, and the first fault (None when the chain is whole)."""

    checked: int
    fault: str | None = None
    at: int | None = None

    @property
    def whole(self) -> bool:
        """True when no fault was found."""
        return self.fault is None


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces and only ASCII: equal values give equal text everywhere."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def seal(sequence: int, content: Mapping[str, Any], previous: str) -> str:
    """SHA-256 (hex) over the previous digest and the canonical JSON of the entry with its place."""
    document = canonical({"sequence": sequence, "previous": previous, "content": content})
    return hashlib.sha256(document.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """The last entry that was walked over, by its sequence and digest."""

    sequence: int = 0
    digest: str = GENESIS


def walk(links: Iterable[Link], place: Place) -> tuple[Place, Verdict | None]:
    """Go on from `place` over the entries that follow, in ascending order; the Verdict is that of a fault."""
    for link in links:
        fault = _fault(link, place.sequence, place.digest)
        if fault is not None:
            return place, Verdict(checked=place.sequence, fault=fault, at=link.sequence)
        place = Place(link.sequence, link.digest)
    return place, None


def ended(place: Place, head: Place) -> Verdict:
    """What a walk that found no more entries says: whole when it arrived at the head."""
    if place == head:
        return Verdict(checked=place.sequence)
    if place.sequence == head.sequence:
        fault = f"entry {head.sequence} is not the one that was written last"
    else:
        fault = (
            f"the chain ends at entry {place.sequence}, but entry {head.sequence} was the last one written"
        )
    return Verdict(checked=place.sequence, fault=fault, at=place.sequence)


def verify(links: Iterable[Link], head: tuple[int, str]) -> Verdict:
    """Walk entries in ascending order and compare the end with `head` = (sequence, digest).

    Finds a changed entry (its digest no longer fits), a removed or inserted one (a gap or a repeat in the
    sequence), a reordered one (its predecessor's digest does not fit) and a cut-off tail (the head differs).
    """
    place, fault = walk(links, Place())
    return fault or ended(place, Place(*head))


def _fault(link: Link, sequence: int, digest: str) -> str | None:
    if link.sequence != sequence + 1:
        return f"entry {sequence + 1} is missing: {sequence} is followed by {link.sequence}"
    if link.previous != digest:
        return (
            f"entry {link.sequence} does not follow the entry before it: one of the two was replaced or moved"
        )
    if seal(link.sequence, link.content, link.previous) != link.digest:
        return f"entry {link.sequence} was changed after it was written"
    return None
