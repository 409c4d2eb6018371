"""What a move of a rollout is told as: kind, severity, title and text, from recorded values only."""

from __future__ import annotations

from dataclasses import dataclass

from monitoring.domain.notices import Severity
from rollouts.domain.phases import GLASS, Phase
from rollouts.domain.plan import Hook


@dataclass(frozen=True, slots=True)
class Move:
    """A recorded transition with what its rollout is about.

    step: the kind of the step that it led to. ending: the end a rollback leads to.
    """

    rollout: int
    number: int
    endpoint: str
    stable: str
    candidate: str
    from_phase: str
    to_phase: str
    weight: int
    actor: str
    reason: str
    step: str
    ending: Phase


@dataclass(frozen=True, slots=True)
class Announcement:
    """A move in words."""

    kind: str
    severity: Severity
    title: str
    text: str


# What entering a phase is told as: the end of the kind, the severity, the words of the title.
_ENTERED: dict[str, tuple[str, Severity, str]] = {
    Phase.QUEUED: ("started", Severity.INFO, "waits for the one before it"),
    Phase.AWAITING_APPROVAL: ("approval", Severity.WARNING, "waits for an approval"),
    Phase.PAUSED: ("paused", Severity.WARNING, "is paused"),
    Phase.HOLDING: ("holding", Severity.INFO, "holds"),
    Phase.PROMOTING: ("promoting", Severity.INFO, "is being promoted"),
    Phase.SUCCEEDED: ("succeeded", Severity.INFO, "succeeded"),
    Phase.ROLLING_BACK: ("rolling_back", Severity.WARNING, "is being rolled back"),
    Phase.ROLLED_BACK: ("rolled_back", Severity.WARNING, "was rolled back"),
    Phase.CONCLUDED: ("concluded", Severity.INFO, "ended with its measurements"),
    Phase.CANCELLED: ("cancelled", Severity.INFO, "was cancelled"),
    Phase.SUPERSEDED: ("superseded", Severity.INFO, "was superseded"),
    Phase.FAILED: ("failed", Severity.CRITICAL, "failed and a person must look"),
}
# Going back is no alarm when the rollout was meant to end so.
_CALM_ENDINGS = frozenset({Phase.CONCLUDED, Phase.CANCELLED, Phase.SUPERSEDED})


def announce(move: Move) -> Announcement:
    """The move in words; every move has some, and a target chooses by kind and severity."""
    kind, severity, words = _told_as(move)
    share = f"v{move.candidate} is meant to have {move.weight} % of the traffic, v{move.stable} the rest."
    entry = f"Rollout {move.rollout}, entry {move.number}, by {move.actor}."
    return Announcement(
        kind=f"rollout.{kind}",
        severity=severity,
        title=f"{move.endpoint}: the rollout of v{move.candidate} {words}",
        text="\n".join((_ended(move.reason), share, entry)),
    )


def _told_as(move: Move) -> tuple[str, Severity, str]:
    if move.reason.startswith(GLASS):
        return ("override", Severity.CRITICAL, "goes on without freezes and approvals: the glass was broken")
    if not move.from_phase and move.to_phase == Phase.PENDING:
        return ("started", Severity.INFO, "started")
    if move.to_phase == Phase.ROLLING_BACK and move.ending in _CALM_ENDINGS:
        return ("rolling_back", Severity.INFO, "gives the traffic back")
    if move.to_phase == Phase.AWAITING_APPROVAL and move.step == Hook.kind:
        return ("hook", Severity.INFO, "waits for a hook")
    return _ENTERED.get(move.to_phase, ("step", Severity.INFO, "goes on"))


def _ended(reason: str) -> str:
    """With a full stop; the first letter of a name, and of somebody's own words, stays."""
    text = reason.strip() or "No reason was given"
    if text.startswith(GLASS):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
