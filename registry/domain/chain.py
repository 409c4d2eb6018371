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


def verify(links: Iterable[Link], head: tuple[int, str]) -> Verdict:
    """Walk entries in ascending order and compare the end with `head` = (sequence, digest).

    Finds a changed entry (its digest no longer fits), a removed or inserted one (a gap or a repeat in the
    sequence), a reordered one (its predecessor's digest does not fit) and a cut-off tail (the head differs).
    """
    sequence, digest = 0, GENESIS
    for link in links:
        fault = _fault(link, sequence, digest)
        if fault is not None:
            return Verdict(checked=sequence, fault=fault, at=link.sequence)
        sequence, digest = link.sequence, link.digest
    if (sequence, digest) != head:
        fault = f"the chain ends at entry {sequence}, but entry {head[0]} was the last one written"
        return Verdict(checked=sequence, fault=fault, at=sequence)
    return Verdict(checked=sequence)


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
