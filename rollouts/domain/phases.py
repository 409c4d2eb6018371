"""The phases of a rollout and the moves between them, as data.

The machine, the tests, the pages and the diagram in the docs all read this one table.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a rollout is; the terminal ones never change again.

    `queued` waits for the rollout that it supersedes to give the traffic back; an endpoint has at most
    one queued rollout beside its active one.
    """

    QUEUED = "queued"
    PENDING = "pending"
    PROVISIONING = "provisioning"
    PROGRESSING = "progressing"
    HOLDING = "holding"
    PAUSED = "paused"
    AWAITING_APPROVAL = "awaiting_approval"
    PROMOTING = "promoting"
    SUCCEEDED = "succeeded"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    CONCLUDED = "concluded"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    FAILED = "failed"


# From every phase of the walk.
_GOING = frozenset(
    {Phase.HOLDING, Phase.PAUSED, Phase.AWAITING_APPROVAL, Phase.PROMOTING, Phase.ROLLING_BACK}
)

MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.QUEUED: frozenset({Phase.PENDING, Phase.CANCELLED, Phase.SUPERSEDED}),
    Phase.PENDING: frozenset({Phase.PROVISIONING, Phase.AWAITING_APPROVAL, Phase.ROLLING_BACK}),
    Phase.PROVISIONING: _GOING | {Phase.PROGRESSING},
    Phase.PROGRESSING: _GOING,
    Phase.HOLDING: _GOING | {Phase.PROGRESSING},
    Phase.PAUSED: _GOING | {Phase.PROVISIONING, Phase.PROGRESSING},
    Phase.AWAITING_APPROVAL: _GOING | {Phase.PROVISIONING, Phase.PROGRESSING},
    Phase.PROMOTING: frozenset({Phase.SUCCEEDED, Phase.ROLLING_BACK}),
    Phase.ROLLING_BACK: frozenset(
        {Phase.ROLLED_BACK, Phase.CANCELLED, Phase.SUPERSEDED, Phase.CONCLUDED, Phase.FAILED}
    ),
    Phase.SUCCEEDED: frozenset(),
    Phase.ROLLED_BACK: frozenset(),
    Phase.CANCELLED: frozenset(),
    Phase.CONCLUDED: frozenset(),
    Phase.SUPERSEDED: frozenset(),
    Phase.FAILED: frozenset(),
}

TERMINAL = frozenset(phase for phase, moves in MOVES.items() if not moves)
UNENDED = frozenset(Phase) - TERMINAL
ACTIVE = UNENDED - {Phase.QUEUED}
# Phases in which the candidate gets nothing.
IDLE = TERMINAL - {Phase.SUCCEEDED} | {Phase.QUEUED, Phase.PENDING, Phase.ROLLING_BACK}

# How the reason of a rollout begins that neither freezes, approvals nor hooks hold.
GLASS = "the glass was broken"


def may_move(source: Phase, target: Phase) -> bool:
    """Whether the table has the move; staying in a phase is always allowed."""
    return source == target or target in MOVES[source]


def mermaid() -> str:
    """The table as a Mermaid state diagram (docs/rollouts.md holds its output)."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.QUEUED}", f"    [*] --> {Phase.PENDING}"]
    lines += [f"    {source} --> {target}" for source in Phase for target in Phase if target in MOVES[source]]
    lines += [f"    {phase} --> [*]" for phase in Phase if phase in TERMINAL]
    return "\n".join(lines)
