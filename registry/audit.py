"""The one way into the audit trail, and the check that nothing in it was touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.domain.actor import Actor
from registry.domain.chain import GENESIS, Link, Verdict, seal, verify
from registry.models import AuditEntry, AuditHead

_CONTENT = (
    "actor_kind", "actor_id", "actor_name", "via", "address", "action", "target", "before", "after", "reason",
)  # fmt: skip


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
        head = _locked_head()
        entry = AuditEntry(
            sequence=head.sequence + 1,
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
            previous=head.digest,
        )
        entry.digest = seal(entry.sequence, _content(entry), entry.previous)
        entry.save(force_insert=True)
        head.sequence, head.digest = entry.sequence, entry.digest
        head.save(update_fields=["sequence", "digest"])
    return entry


def lock() -> None:
    """Wait for every change that is being recorded, and let none begin to be until the transaction ends."""
    _locked_head()


def verify_chain() -> Verdict:
    """Walk the whole trail in constant memory and report the first fault."""
    with transaction.atomic():
        head = AuditHead.objects.filter(pk=1).values_list("sequence", "digest").first() or (0, GENESIS)
        return verify(_links(), head)


def _locked_head() -> AuditHead:
    head = AuditHead.objects.select_for_update().filter(pk=1).first()
    if head is not None:
        return head
    try:
        with transaction.atomic():
            AuditHead.objects.create(pk=1, sequence=0, digest=GENESIS)
    except IntegrityError:
        pass  # another process wrote the first entry at the same moment
    return AuditHead.objects.select_for_update().get(pk=1)


def _content(entry: AuditEntry) -> dict[str, Any]:
    content = {name: getattr(entry, name) for name in _CONTENT}
    return content | {"at": entry.at.isoformat()}


def _links() -> Iterator[Link]:
    for entry in AuditEntry.objects.order_by("sequence").iterator(chunk_size=1000):
        yield Link(entry.sequence, _content(entry), entry.previous, entry.digest)


def _plain(value: Any) -> Any:
    """What JSON gives back: tuples become lists, dates become text, NaN becomes null."""
    if value is None:
        return None
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder), parse_constant=lambda _: None)
