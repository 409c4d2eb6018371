"""What a notice says, and who wants to hear it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from registry.errors import Invalid

KIND = re.compile(r"[a-z][a-z_]{0,30}(\.[a-z][a-z_]{0,30})?")


class Severity(StrEnum):
    """How much a person should care, from least to most."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


RANK: dict[Severity, int] = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Message:
    """One notice as text: a title line, sentences, and an absolute link (may be empty)."""

    title: str
    text: str
    severity: Severity
    link: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a target wants to hear.

    kinds: such as `rollout.paused`, or a whole family such as `rollout`; empty: every kind. least: nothing
    below this severity. environments: names; empty: every one.
    """

    kinds: Collection[str] = ()
    least: Severity = Severity.INFO
    environments: Collection[str] = ()

    def has(self, *, kind: str, severity: Severity, environment: str) -> bool:
        """Whether this notice is wanted; one of no environment is everybody's."""
        return (
            RANK[severity] >= RANK[self.least]
            and (not self.kinds or kind in self.kinds or kind.partition(".")[0] in self.kinds)
            and (not self.environments or not environment or environment in self.environments)
        )


def check_kinds(kinds: Collection[str]) -> None:
    """Invalid names the first kind that could never match."""
    for index, kind in enumerate(kinds):
        if not KIND.fullmatch(kind):
            raise Invalid(
                f"{kind!r} is not a kind of notice.",
                field=f"kinds[{index}]",
                hint="Write one such as rollout.paused, or a family such as rollout or alert.",
            )


def back_off(failures: int, *, first: float = 2.0, most: float = 600.0) -> timedelta:
    """How long to wait after so many failures in a row: doubling from `first` to `most` seconds."""
    return timedelta(seconds=min(most, first * 2 ** min(max(failures, 1) - 1, 30)))
