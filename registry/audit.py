"""The one way into the audit trail, and the check that nothing in it was touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from registry import statements
from registry.domain.actor import Actor
from registry.domain.chain import GENESIS, Link, Place, Verdict, ended, seal, walk
from registry.models import AuditEntry, AuditHead
from registry.prepared import Prepared, PreparedInsert

_CONTENT = (
    "actor_kind", "actor_id", "actor_name", "via", "address", "action", "target", "before", "after", "reason",
)  # fmt: skip
# The chain's end is locked until the transaction ends.
_END = Prepared(
    lambda pk: AuditHead.objects.select_for_update().filter(pk=pk).values_list("sequence", "digest"), pk=-1
)
ENTRY = PreparedInsert(AuditEntry)
_seen = Place()
_MOVE = "UPDATE registry_audithead SET sequence = %s, digest = %s, seal = %s WHERE id = 1"
# Entries that are walked over in one go: about half a second.
CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain, and the seal that says that Slipway wrote it."""

    place: Place
    seal: str


def record(
    *, actor: Actor, action: str, target: str, before: Any = None, after: Any = None, reason: str = ""
) -> AuditEntry:
    """Append one entry inside the caller's transaction, so the change and its trace commit together.

    `action` is `noun.verb` (`version.register`), `target` a path (`models/churn/versions/3`); `before` and
    `after` are what JSON can hold (dates and decimals are converted). Record last in the transaction: the
    lock on the chain's end is held until it commits.
    """
    # No savepoint: an entry that cannot be written undoes the caller's change with it.
    with transaction.atomic(savepoint=False):
        entry, head = following(
            locked_end(),
            actor=actor,
            action=action,
            target=target,
            before=before,
            after=after,
            reason=reason,
        )
        append(entry, head)
    return entry


def following(
    end: Place,
    *,
    actor: Actor,
    action: str,
    target: str,
    before: Any = None,
    after: Any = None,
    reason: str = "",
) -> tuple[AuditEntry, Head]:
    """The entry that comes after `end`, and the end of the chain with it; nothing is written yet."""
    entry = AuditEntry(
        sequence=end.sequence + 1,
        at=timezone.now(),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name[:150],
        via=actor.via,
        address=actor.address[:64],
        action=action,
        target=target[:512],
        before=_plain(before),
        after=_plain(after),
        reason=reason.replace("\x00", ""),
        previous=end.digest,
    )
    entry.digest = seal(entry.sequence, _content(entry), entry.previous)
    place = Place(entry.sequence, entry.digest)
    return entry, Head(place, _seal(place, settings.SECRET_KEY))


def lock() -> None:
    """Wait for every change that is being recorded, and let none begin to be until the transaction ends."""
    locked_end()


def last_seen() -> Place:
    """The end of the chain as this process saw it last; others may have moved it since."""
    return _seen


def saw(place: Place) -> None:
    """This process has moved the end of the chain there."""
    global _seen
    _seen = place


def verify_chain(
    *, anchor: Place | None = None, told: Callable[[int, int], None] = lambda done, of: None
) -> Verdict:
    """Walk the whole trail in constant memory and report the first fault; writers are not held up.

    `anchor` is a place that was noted outside the database: the trail must go through it. `told` hears after
    every chunk how many entries of how many are checked.
    """
    head, place = read_head(), Place()
    while True:
        place, verdict = check(place, head, anchor=anchor)
        if verdict is not None:
            return verdict
        told(place.sequence, head.place.sequence)


def check(
    place: Place, head: Head, *, anchor: Place | None = None, chunk: int = CHUNK
) -> tuple[Place, Verdict | None]:
    """Walk over the next `chunk` entries after `place`, up to the head that was read when the walk began.

    The Verdict is None while there is more to walk; entries written meanwhile are not part of this walk.
    """
    fault = _fault_of_head(head) if place == Place() else None
    if fault is not None:
        return place, Verdict(checked=0, fault=fault, at=head.place.sequence)
    following = (link for link in _links(place.sequence, min(place.sequence + chunk, head.place.sequence)))
    reached, verdict = walk(following, place)
    if verdict is not None:
        return reached, verdict
    if anchor is not None and place.sequence < anchor.sequence <= reached.sequence:
        stored = AuditEntry.objects.filter(sequence=anchor.sequence).values_list("digest", flat=True).first()
        if stored != anchor.digest:
            fault = f"entry {anchor.sequence} is not the one that was noted outside: the trail was rewritten"
            return reached, Verdict(checked=reached.sequence, fault=fault, at=anchor.sequence)
    if reached.sequence < head.place.sequence and reached != place:
        return reached, None
    return reached, _end(reached, head, anchor)


def read_head() -> Head:
    """The end of the chain as it is recorded now."""
    row = AuditHead.objects.filter(pk=1).values_list("sequence", "digest", "seal").first()
    return Head(Place(*row[:2]), row[2]) if row else Head(Place(), "")


def _end(reached: Place, head: Head, anchor: Place | None) -> Verdict:
    verdict = ended(reached, head.place)
    if not verdict.whole:
        return verdict
    if anchor is not None and anchor.sequence > reached.sequence:
        fault = f"entry {anchor.sequence} was noted outside, but the chain ends at entry {reached.sequence}"
        return Verdict(checked=reached.sequence, fault=fault, at=reached.sequence)
    # The entries first, then their head: an entry and its head are written in one transaction.
    stray = AuditEntry.objects.filter(Q(sequence__lt=1) | Q(sequence__gt=head.place.sequence))
    numbers = list(stray.order_by("-sequence").values_list("sequence", flat=True)[:1])
    if numbers and not 1 <= numbers[0] <= read_head().place.sequence:
        fault = f"entry {numbers[0]} was not written by Slipway: it lies outside the chain"
        return Verdict(checked=reached.sequence, fault=fault, at=numbers[0])
    return verdict


def _fault_of_head(head: Head) -> str | None:
    if head.place == Place() and not head.seal:
        return None
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if any(constant_time_compare(head.seal, _seal(head.place, key)) for key in keys):
        return None
    return (
        "the end of the chain is not sealed with this installation's secret key: somebody else wrote it "
        "(or the key was changed: give old ones in SLIPWAY_SECRET_KEY_FALLBACKS)"
    )


def _seal(place: Place, key: str) -> str:
    return salted_hmac(
        "registry.audit", f"{place.sequence}:{place.digest}", secret=key, algorithm="sha256"
    ).hexdigest()


def locked_end() -> Place:
    """The end of the chain, locked until the transaction ends."""
    found = _END.rows(pk=1)
    if not found:
        try:
            with transaction.atomic():
                AuditHead.objects.create(pk=1, sequence=0, digest=GENESIS)
        except IntegrityError:
            pass  # another process wrote the first entry at the same moment
        found = _END.rows(pk=1)
    return Place(*found[0])


def append(entry: AuditEntry, head: Head) -> None:
    """Write an entry of `following` the end that is locked, and the new end."""
    values, end = ENTRY.parameters(entry), [head.place.sequence, head.place.digest, head.seal]
    if connection.vendor == "postgresql":
        statements.run(f"WITH entry AS ({ENTRY.sql}) {_MOVE}", [*values, *end])
    else:
        statements.run(ENTRY.sql, values)
        statements.run(_MOVE, end)
    entry._state.adding = False
    saw(head.place)


def _content(entry: AuditEntry) -> dict[str, Any]:
    content = {name: getattr(entry, name) for name in _CONTENT}
    return content | {"at": entry.at.isoformat()}


def _links(after: int, until: int) -> Iterator[Link]:
    rows = AuditEntry.objects.filter(sequence__gt=after, sequence__lte=until).order_by("sequence")
    for entry in rows.iterator(chunk_size=1000):
        yield Link(entry.sequence, _content(entry), entry.previous, entry.digest)


def _plain(value: Any) -> Any:
    """What JSON gives back: tuples become lists, dates become text, NaN becomes null."""
    if value is None:
        return None
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder), parse_constant=lambda _: None)
