"""A walk over the audit trail in pieces, each in a request of its own: where it is goes along, signed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.core import signing

from registry import audit
from registry.domain.chain import Place, Verdict
from registry.errors import Invalid

# Entries in one request: a few seconds.
PIECE = 50_000
_SALT = "registry.audit.walk"


@dataclass(frozen=True, slots=True)
class WalkState:
    """The head that the walk goes to, how far it came, and its end once it is known."""

    head: audit.Head
    place: Place = Place()  # noqa: RUF009
    verdict: Verdict | None = None

    @classmethod
    def read(cls, text: str) -> WalkState:
        """The walk that `text` goes on with, or a new one for an empty text; `Invalid` for anything else."""
        if not text:
            return cls(audit.read_head())
        try:
            at, digest, end, last, seal = signing.loads(text, salt=_SALT)
        except (signing.BadSignature, ValueError) as error:
            raise Invalid("It is not the place of a walk.", field="after", hint="Use `next`.") from error
        return cls(audit.Head(Place(end, last), seal), Place(at, digest))

    def walked(self, entries: int) -> WalkState:
        """After so many entries more, or at the end."""
        place, verdict = audit.check(self.place, self.head, chunk=entries)
        return replace(self, place=place, verdict=verdict)

    def text(self) -> str:
        """What `read` goes on from."""
        head = self.head
        place = [self.place.sequence, self.place.digest, head.place.sequence, head.place.digest, head.seal]
        return signing.dumps(place, salt=_SALT, compress=True)
