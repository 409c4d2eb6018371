"""What an analysis is about and what it concluded, as values that survive JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from monitoring.domain.judge.verdict import GateResult, Verdict
from monitoring.domain.window import Window


@dataclass(frozen=True, slots=True)
class Subject:
    """Candidate against stable on one endpoint over one window.

    `candidate` and `stable` are version refs; `stable` None = nothing to compare with. `profile` is the
    candidate's baseline document, None when it has none.

    What keeps repeated looks honest: `window` begins when the present share of traffic took effect and
    grows from look to look; `windows` is how many such windows the whole rollout has (steps of traffic);
    `look` counts the analyses of the whole rollout from 1 and is never reset.
    """

    endpoint: str
    stable: str | None
    candidate: str
    window: Window
    look: int = 1
    windows: int = 5
    profile: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, the sentence that explains it, and every gate's result."""

    verdict: Verdict
    reason: str
    gates: tuple[GateResult, ...]
    at: datetime
    window: Window

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "reason": self.reason,
            "gates": [gate.to_dict() for gate in self.gates],
            "at": self.at.isoformat(),
            "window": self.window.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            verdict=Verdict(document["verdict"]),
            reason=document["reason"],
            gates=tuple(GateResult.from_dict(gate) for gate in document["gates"]),
            at=datetime.fromisoformat(document["at"]),
            window=Window.from_dict(document["window"]),
        )
