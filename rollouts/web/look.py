"""How phases, verdicts and splits are named and coloured on the pages; pure functions of domain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from monitoring.domain.judge import Verdict

Tone = Literal["pass", "fail", "hold", "info", "muted"]
Role = Literal["stable", "candidate", "baseline"]


@dataclass(frozen=True, slots=True)
class Badge:
    """A word and the tone it is shown in (the CSS class `badge--<tone>`)."""

    label: str
    tone: Tone


PHASES: dict[str, Badge] = {
    "queued": Badge("Queued", "muted"),
    "pending": Badge("Pending", "muted"),
    "provisioning": Badge("Provisioning", "info"),
    "progressing": Badge("Progressing", "info"),
    "holding": Badge("Holding", "hold"),
    "paused": Badge("Paused", "hold"),
    "awaiting_approval": Badge("Awaiting approval", "hold"),
    "promoting": Badge("Promoting", "info"),
    "succeeded": Badge("Promoted", "pass"),
    "concluded": Badge("Concluded", "pass"),
    "rolling_back": Badge("Rolling back", "fail"),
    "rolled_back": Badge("Rolled back", "fail"),
    "cancelled": Badge("Cancelled", "muted"),
    "superseded": Badge("Superseded", "muted"),
    "failed": Badge("Failed", "fail"),
}

# The traffic goes back because the plan ends without a promotion, not because something went wrong.
CONCLUDING = Badge("Concluding", "info")

# As people call them; `instant` is a rollback after success.
STRATEGIES: dict[str, str] = {
    "canary": "Canary",
    "blue_green": "Blue/green",
    "shadow": "Shadow",
    "ab": "A/B",
    "custom": "Custom plan",
    "instant": "Instant",
}

VERDICTS: dict[Verdict, Badge] = {
    Verdict.PASS: Badge("Pass", "pass"),
    Verdict.FAIL: Badge("Fail", "fail"),
    Verdict.INCONCLUSIVE: Badge("Inconclusive", "hold"),
    Verdict.NO_DATA: Badge("No data", "muted"),
    Verdict.ERROR: Badge("Error", "hold"),
}


def phase_badge(phase: str) -> Badge:
    """The badge of a phase; a phase this page does not know is shown by its own name."""
    return PHASES.get(phase) or Badge(phase.replace("_", " ").capitalize(), "muted")


def verdict_badge(verdict: str) -> Badge:
    """The badge of a verdict."""
    return VERDICTS[Verdict(verdict)] if verdict in list(Verdict) else Badge(verdict.capitalize(), "muted")


@dataclass(frozen=True, slots=True)
class Share:
    """One coloured part of a split bar: `start` and `percent` in the bar's 0 to 100."""

    ref: str
    role: Role
    percent: float
    start: float


def shares(split: Mapping[str, float], *, stable: str | None, candidate: str | None) -> tuple[Share, ...]:
    """A split (version ref → percent) as the parts of a bar: stable first, the candidate last."""

    def order(ref: str) -> tuple[int, str]:
        return (0 if ref == stable else 2 if ref == candidate else 1, ref)

    parts: list[Share] = []
    start = 0.0
    for ref in sorted(split, key=order):
        percent = split[ref]
        if percent > 0:
            parts.append(Share(ref, _role(ref, stable, candidate), percent, start))
            start += percent
    return tuple(parts)


def _role(ref: str, stable: str | None, candidate: str | None) -> Role:
    if ref == candidate:
        return "candidate"
    return "stable" if ref == stable else "baseline"


def same_split(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two splits send the same traffic to the same versions (versions at 0 % do not count)."""

    def carried(split: Mapping[str, float]) -> dict[str, float]:
        return {ref: percent for ref, percent in split.items() if percent}

    return carried(one) == carried(other)


def short_digest(digest: str) -> str:
    """`sha256:` and the first twelve hex digits: enough for people to compare."""
    scheme, _, value = digest.partition(":")
    return f"{scheme}:{value[:12]}" if value else digest[:12]


# What Slipway's own sentences begin with. Anything else is a name or somebody's own words.
OPENINGS = frozenset({
    "a", "all", "an", "analyse", "approved", "as", "ask", "at", "both", "cannot", "compare",
    "comparing", "could", "each", "end", "ended", "error", "every", "expected", "frozen", "held",
    "hold", "in", "it", "its", "keep", "let", "mean", "measured", "mirror", "neither", "no", "nobody",
    "not", "nothing", "of", "one", "only", "over", "ready", "refused", "rejection", "rolled", "seen",
    "send", "servers", "start", "stop", "superseded", "that", "the", "there", "they", "this", "too",
    "trained", "wait", "waited", "waits", "was", "weights", "with", "withdrawn",
})  # fmt: skip


def sentence(text: str) -> str:
    """A sentence of Slipway's own with a capital first letter.

    Names ("v3", "errors:", a model) and what people wrote stay as they are: it must begin with an opening.
    """
    word = text.partition(" ")[0].rstrip(",;.")
    return text[:1].upper() + text[1:] if word in OPENINGS else text


def elapsed_text(seconds: float) -> str:
    """A stretch of time that goes on, to the second: "42 s", "3 min 12 s", "2 h 5 min", "3 d 4 h"."""
    left = max(0, round(seconds))
    for big, unit, small, subunit in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if left >= big:
            rest = left % big // small
            return f"{left // big} {unit} {rest} {subunit}" if rest else f"{left // big} {unit}"
    return f"{left} s"
