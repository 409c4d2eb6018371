"""What the phase of a rollout means for the one who waits for it."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.cli.client import Document
from deploy.cli.exits import Exit

ENDED = {
    "succeeded": Exit.DONE,
    # A shadow or an A/B test that measured what it should; it promotes nothing.
    "concluded": Exit.DONE,
    "rolled_back": Exit.ROLLED_BACK,
    "cancelled": Exit.CANCELLED,
    "superseded": Exit.SUPERSEDED,
    "failed": Exit.NEEDS_PERSON,
}


def outcome(rollout: Document, votes: Iterable[Document], *, through_pauses: bool) -> Exit | None:
    """The exit status when the waiting is over, None while there is something to wait for.

    votes: the answers of the approvers; asked for only when it matters. through_pauses: a pause is waited
    out, too.
    """
    phase = rollout["phase"]
    if phase == "paused" and not through_pauses:
        return Exit.NEEDS_PERSON
    if rollout["active"]:
        return None
    found = ENDED.get(phase, Exit.NEEDS_PERSON)
    if found in {Exit.ROLLED_BACK, Exit.CANCELLED} and any(not vote["approve"] for vote in votes):
        return Exit.CANCELLED
    return found


def last_words(rollout: Document, found: Exit, cause: str = "") -> str:
    """The sentence that ends the waiting; `cause` is why it was rolled back."""
    name = f"rollout {rollout['id']} of {rollout['endpoint']}"
    phase = rollout["phase"].replace("_", " ")
    reason = f": {rollout['reason']}" if rollout["reason"] else ""
    if found is Exit.NEEDS_PERSON and rollout["active"]:
        return (
            f"{name} is {phase}{reason}; go on with `slipway rollout resume {rollout['id']} -m REASON`, "
            f"or take it back with `slipway rollout abort {rollout['id']} -m REASON`"
        )
    because = f" because {cause};" if cause and found is not Exit.DONE else ""
    return f"{name} {phase}{because}{reason.removeprefix(':') if because else reason}"
