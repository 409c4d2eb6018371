"""Who does something: a person, a token of theirs, or Slipway itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["user", "token", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change, as the audit log and the timelines name it.

    `id` is the user's primary key (None for the system), `name` the user name shown to people,
    `via` the token's prefix when one was used, `address` the client's network address.
    """

    kind: ActorKind
    name: str
    id: int | None = None
    via: str = ""
    address: str = ""

    def __str__(self) -> str:
        return f"{self.name} (token {self.via})" if self.via else self.name


SYSTEM = Actor(kind="system", name="slipway")
