"""What an experiment says to the people who decide after it."""

from __future__ import annotations

from monitoring.domain.judge import GateResult, Judgement


def recommendation(judgement: Judgement, stable: str, candidate: str) -> str:
    """One sentence: which version the outcomes speak for, with the evidence of the gates that compared them.

    A version is recommended only when the whole confidence interval of the difference is on its side; it
    holds for all looks of the experiment together.
    """
    compared = [gate for gate in judgement.gates if gate.kind == "outcome"]
    gains = [gain for gate in compared if (gain := _gain(gate)) is not None]
    because = "; ".join(gate.reason + _interval(gate) for gate in compared) or judgement.reason
    if gains and all(lower > 0 for lower, _ in gains):
        return f"v{candidate} is recommended: {because}"
    if any(upper < 0 for _, upper in gains):
        return f"v{stable} is recommended: {because}"
    return f"neither version was shown to be better: {because}"


def _gain(gate: GateResult) -> tuple[float, float] | None:
    """The interval of the difference, turned so that above 0 speaks for the candidate."""
    if gate.lower is None or gate.upper is None:
        return None
    if gate.details.get("better") == "lower":
        return -gate.upper, -gate.lower
    return gate.lower, gate.upper


def _interval(gate: GateResult) -> str:
    """The bounds of the difference in words; empty while there are none."""
    if gate.lower is None or gate.upper is None or gate.alpha is None:
        return ""
    scale, unit = (100, " points") if gate.unit == "ratio" else (1, "")
    bounds = f"{scale * gate.lower:+.3g} to {scale * gate.upper:+.3g}{unit}"
    return f" (the difference is {bounds} with {100 * (1 - gate.alpha):.3g} % confidence)"
