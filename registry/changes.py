"""A change and its audit entry, written together.

On PostgreSQL they are one statement, which needs no transaction around it. It is written with the end of the
audit chain as this process saw it last, and does something only if that is still the end: every audited
change moves it, so what was read to decide on the change is as it was. If somebody was faster or is at it,
and on other databases, the same change is decided and made under locks.

The order of locks is the same in both ways: first the row that the change is about (`as_read`), then the
end of the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection, transaction

from registry import audit, statements
from registry.domain.actor import Actor
from registry.domain.chain import Place
from registry.prepared import GOING, Write
from registry.statements import Row

# The first time the end that was seen last may be old; then the statement itself tells the present one.
_ATTEMPTS = 2
# Nothing is waited for: who finds a lock goes the other way, where waiting is in order. There the locks are
# this transaction's own.
_LOCK = "FOR NO KEY UPDATE SKIP LOCKED"
_SEEN = "SELECT id FROM registry_audithead WHERE id = 1 AND sequence = %s AND digest = %s"
_MOVED = (
    "UPDATE registry_audithead h SET sequence = %s, digest = %s, seal = %s "
    "FROM seen WHERE h.id = seen.id RETURNING h.id"
)
_ENTRY = audit.ENTRY
# A change that writes nothing, though the end of the chain was moved for it, must not be: it has no sequence.
_SEALED = (
    f"INSERT INTO registry_auditentry ({', '.join(str(field.column) for field in _ENTRY.fields)}) "
    "SELECT CASE WHEN EXISTS (SELECT FROM written) THEN %s END, "
    f"{', '.join(['%s'] * (len(_ENTRY.fields) - 1))} FROM head"
)
assert _ENTRY.fields[0].name == "sequence"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written, decided by what was read.

    The last of `writes` returns a row that begins with a key; `as_read` is a SELECT that finds the row that
    the change is about while it is as it was read, None for a new one.
    """

    action: str
    target: str
    writes: Sequence[Write]
    before: Any = None
    after: Any = None
    as_read: Write | None = None


Decide = Callable[[bool], Change | None]


def make(decide: Decide, *, actor: Actor, reason: str = "") -> Row | None:
    """Make the change that `decide` gives, with its entry; both or neither. What its last write returned.

    `decide(False)` may go by rows that were read before; `decide(True)` locks and reads them again, and its
    None means that nothing is to be done.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        row = _at_once(decide, actor, reason)
        if row is not None:
            return row
    with transaction.atomic():
        change = decide(True)
        return _under_locks(change, actor, reason) if change else None


def _at_once(decide: Decide, actor: Actor, reason: str) -> Row | None:
    end = audit.last_seen()
    for _ in range(_ATTEMPTS):
        # What it reads, it reads after the end was seen.
        change = decide(False)
        row, found = _attempt(change, end, actor, reason) if change else (None, end)
        # Where the end is the one that was given, what was read has changed.
        if row is not None or found is None or found == end:
            return row
        end = found
    return None


def _under_locks(change: Change, actor: Actor, reason: str) -> Row:
    end = audit.locked_end()
    if connection.vendor == "postgresql":
        row, _ = _attempt(change, end, actor, reason)
    else:
        entry, head = _entry(change, end, actor, reason)
        for sql, parameters in change.writes:
            row = statements.row(sql.format(**{GOING: "TRUE"}), parameters)
        audit.append(entry, head)
    assert row is not None
    return row


def _attempt(change: Change, end: Place, actor: Actor, reason: str) -> tuple[Row | None, Place | None]:
    """What the change returned, and the end of the chain as the statement found it when it began."""
    entry, head = _entry(change, end, actor, reason)
    parts = [change.as_read] if change.as_read else []
    moved = [end.sequence, end.digest, head.place.sequence, head.place.digest, head.seal]
    parameters = [value for _, values in parts for value in values] + moved
    parameters += [value for _, values in change.writes for value in values]
    parameters += _ENTRY.parameters(entry)
    sql = _statement(change.as_read[0] if change.as_read else "", tuple(sql for sql, _ in change.writes))
    found = statements.row(sql, parameters)
    if found is None:
        return None, None
    sequence, digest, *returned = found
    if returned[0] is None:
        return None, Place(sequence, digest)
    audit.saw(head.place)
    return returned, end


def _entry(change: Change, end: Place, actor: Actor, reason: str) -> tuple[Any, audit.Head]:
    return audit.following(
        end,
        actor=actor,
        action=change.action,
        target=change.target,
        before=change.before,
        after=change.after,
        reason=reason,
    )


@lru_cache(maxsize=200)
def _statement(as_read: str, writes: tuple[str, ...]) -> str:
    """One statement of PostgreSQL: what was read, the end of the chain, the writes, the entry."""
    going = {GOING: "EXISTS (SELECT FROM head)"}
    *others, last = (sql.format(**going) for sql in writes)
    asked = " AND EXISTS (SELECT FROM as_read)" if as_read else ""
    parts = [f"as_read AS ({as_read} {_LOCK})"] if as_read else []
    parts += [f"seen AS ({_SEEN}{asked} {_LOCK})", f"head AS ({_MOVED})"]
    parts += [f"other{number} AS ({sql})" for number, sql in enumerate(others)]
    parts += [f"written AS ({last})", f"entry AS ({_SEALED})"]
    return (
        f"WITH {', '.join(parts)} SELECT h.sequence, h.digest, w.* "
        "FROM registry_audithead h LEFT JOIN (SELECT * FROM written LIMIT 1) w ON TRUE WHERE h.id = 1"
    )
