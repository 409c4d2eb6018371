"""The buttons of a rollout and of an endpoint: which apply now, and exactly what each will do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from registry.domain.roles import Permission
from rollouts.domain.commands import VERBS
from rollouts.domain.phases import TERMINAL, Phase
from rollouts.domain.plan import Approve, Hook
from rollouts.domain.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Verb:
    """A button: its words, the permission it needs and how it is styled."""

    name: str
    label: str
    permission: Permission
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    """A verb in the present phase for the present user; `why_not` is empty when it may be pressed."""

    verb: Verb
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a confirmed verb will do, in the order it happens; `consequences` are plain sentences."""

    title: str
    summary: str
    consequences: tuple[str, ...]


PAUSE = Verb("pause", "Pause", Permission.CONTROL_ROLLOUT)
RESUME = Verb("resume", "Resume", Permission.CONTROL_ROLLOUT)
PROMOTE = Verb("promote", "Promote now", Permission.PROMOTE)
BREAK_GLASS = Verb("break_glass", "Break glass", Permission.PROMOTE, danger=True)
ABORT = Verb("abort", "Roll back", Permission.CONTROL_ROLLOUT, danger=True)
ROLLBACK = Verb("rollback", "Roll back to previous", Permission.CONTROL_ROLLOUT, danger=True)
RETRY = Verb("retry", "Try again", Permission.START_ROLLOUT)
ROLLOUT_VERBS = {verb.name: verb for verb in (PAUSE, RESUME, PROMOTE, BREAK_GLASS, ABORT, RETRY)}
_PHASES = {**VERBS, RETRY.name: TERMINAL - {Phase.SUCCEEDED}}


def buttons(phase: Phase, permissions: Collection[Permission]) -> tuple[Button, ...]:
    """The verbs that apply in this phase; those the user may not use say why."""
    return tuple(button(verb, permissions) for verb in ROLLOUT_VERBS.values() if phase in _PHASES[verb.name])


def idle_verbs(snapshot: Snapshot, *, frozen: bool) -> frozenset[Verb]:
    """Verbs that the phase allows but that would do nothing here: no promotion is planned, or neither a
    freeze nor an approval is left to override."""
    asked = any(isinstance(step, Approve | Hook) for step in snapshot.plan.steps[snapshot.step :])
    glass = not snapshot.override and (frozen or asked)
    return frozenset(
        ({PROMOTE} if not snapshot.plan.promotes else set()) | (set() if glass else {BREAK_GLASS})
    )


def button(verb: Verb, permissions: Collection[Permission]) -> Button:
    """The verb as a button for a user with these permissions."""
    if verb.permission in permissions:
        return Button(verb)
    return Button(verb, f"Your role lacks the permission “{verb.permission.value.replace('_', ' ')}”.")


def deed(name: str, *, stable: str, candidate: str, weight: int) -> Deed:
    """What the verb `name` does to a rollout from v`stable` to v`candidate` that has `weight` % now."""
    return _DEEDS[name](stable, candidate, weight)


def rollback_deed(*, stable: str, previous: str) -> Deed:
    """What the instant rollback of an endpoint does."""
    return Deed(
        title=f"Roll back to v{previous}",
        summary=f"Sends 100 % of traffic from v{stable} back to v{previous}, which served before.",
        consequences=(
            f"While v{previous} is warm this is one write; if its servers are gone they start first.",
            f"v{previous} becomes the stable version, v{stable} stays warm as the previous one.",
            "Needs no metrics and no approval.",
        ),
    )


def _pause(stable: str, candidate: str, weight: int) -> Deed:
    return Deed(
        title="Pause the rollout",
        summary=f"Keeps v{candidate} at {weight} % and v{stable} at {100 - weight} % until it is resumed.",
        consequences=(
            "No further step is taken, and the clock of the present step starts anew on resume.",
            "The gates are still watched: a violated gate rolls back even while paused.",
        ),
    )


def _resume(stable: str, candidate: str, weight: int) -> Deed:
    return Deed(
        title="Resume the rollout",
        summary=f"Goes on with the present step of v{candidate} at {weight} %.",
        consequences=(
            "The step's hold or analysis starts anew.",
            f"A violated gate sends all traffic back to v{stable}.",
        ),
    )


def _promote(stable: str, candidate: str, weight: int) -> Deed:
    return Deed(
        title=f"Promote v{candidate} now",
        summary=f"Skips the remaining steps and sends 100 % of traffic to v{candidate} (now {weight} %).",
        consequences=(
            f"v{candidate} becomes the stable version without the evidence of the skipped steps.",
            "An approval that the plan still asks for is not skipped: the rollout waits there.",
            f"v{stable} stays warm for a while, so rolling back is one click on the endpoint's page.",
        ),
    )


def _break_glass(stable: str, candidate: str, weight: int) -> Deed:
    return Deed(
        title="Break the glass",
        summary=f"From now on neither a freeze nor an approval holds the rollout of v{candidate}.",
        consequences=(
            "Freeze windows no longer stop its share from growing, and approval steps are passed unanswered.",
            f"The gates still hold: a violated one sends all traffic back to v{stable}.",
            "It cannot be undone for this rollout. The timeline and the audit log name you and your reason.",
        ),
    )


def _retry(stable: str, candidate: str, weight: int) -> Deed:
    return Deed(
        title=f"Try v{candidate} again",
        summary=f"Starts a new rollout of v{candidate} with the same strategy and parameters.",
        consequences=(
            "It begins at 0 % and takes every step again, on what is stable now.",
            "A violated gate sends all traffic back, as before.",
        ),
    )


def _abort(stable: str, candidate: str, weight: int) -> Deed:
    if weight == 0:
        return Deed(
            title="End the rollout",
            summary=f"Ends the rollout and removes v{candidate}’s servers; v{stable} keeps 100 % of traffic.",
            consequences=(
                f"v{candidate} has no traffic at the moment, so nothing moves.",
                "Trying again starts a new rollout.",
                "Needs no metrics and no approval.",
            ),
        )
    return Deed(
        title=f"Roll back to v{stable}",
        summary=f"Sends 100 % of traffic back to v{stable} at once and removes v{candidate}’s servers.",
        consequences=(
            f"v{candidate} goes from {weight} % to 0 % with one write; the page shows when it took effect.",
            "The rollout ends; trying again starts a new one.",
            "Needs no metrics and no approval.",
        ),
    )


_DEEDS: dict[str, Callable[[str, str, int], Deed]] = {
    "pause": _pause,
    "resume": _resume,
    "promote": _promote,
    "abort": _abort,
    "break_glass": _break_glass,
    "retry": _retry,
}
