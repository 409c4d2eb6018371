"""What a rollout of the demo came to, and whether that is what its version deserved. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# How much longer than one analysis interval the crashing candidate may keep traffic.
GRACE_SECONDS = 2.0
CRASH_GATE = "error_rate"
TERMINAL = frozenset({"succeeded", "rolled_back", "failed", "cancelled", "superseded"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one rollout: `gates` are the kinds that failed in the evidence of the rollback;
    `exposed` is the time in seconds from the first bad answer to a weight of 0 %, seen at the gateway."""

    phase: str
    gates: frozenset[str] = frozenset()
    exposed: float | None = None


def failing_gates(transitions: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Kinds of the gates that failed when the rollout began to roll back."""
    evidence = [move["evidence"] or {} for move in transitions if move["to_phase"] == "rolling_back"]
    gates = [gate for document in evidence for gate in document.get("gates", [])]
    return frozenset(gate["kind"] for gate in gates if gate["verdict"] == "fail")


def bad_since(version: Mapping[str, Any]) -> float | None:
    """Unix time of the first bad answer in a version's counters.

    The first answer that was no prediction; for a version that is wrong or slow, its first answer.
    """
    first_bad = version.get("first_bad")
    found = first_bad["at"] if first_bad else version.get("first_at")
    return None if found is None else float(found)


def zero_since(history: Sequence[tuple[float, Mapping[str, int]]], version: str) -> float | None:
    """When a version's weight fell to nothing, from (Unix time, weights) in order; None while it serves."""
    serving, since = False, None
    for at, weights in history:
        if weights.get(version, 0) > 0:
            serving, since = True, None
        elif serving and since is None:
            since = at
    return since


def problems(expect: Mapping[str, Any], outcome: Outcome | None, interval: float) -> Iterator[str]:
    """Sentences about what is not as expected; none when all is well."""
    if outcome is None:
        yield f"expected {expect['phase']}, but its rollout did not end in time"
        return
    if outcome.phase != expect["phase"]:
        yield f"expected {expect['phase']}, but its rollout ended {outcome.phase}"
    gate = expect["gate"]
    if gate and gate not in outcome.gates:
        found = ", ".join(sorted(outcome.gates)) or "no gate"
        yield f"expected the {gate} gate to fail, but the evidence names {found}"
    limit = interval + GRACE_SECONDS
    if gate == CRASH_GATE and (outcome.exposed is None or outcome.exposed > limit):
        took = "an unknown time" if outcome.exposed is None else f"{outcome.exposed:.1f} s"
        yield f"kept traffic for {took} after its first bad answer; the limit is {limit:g} s"
