"""What the gates of a plan can never decide, told before anybody meets the candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitoring.domain import outputs
from monitoring.domain.judge import GateSpec, parse_gates
from monitoring.domain.judge.custom import CustomGate
from monitoring.domain.judge.distribution import DistributionGate
from monitoring.domain.judge.input_drift import InputDriftGate
from monitoring.domain.judge.kayenta import KayentaGate
from monitoring.domain.judge.paired import PairedGate
from rollouts.domain.plan import Analyse, Plan

Profile = Mapping[str, Any]


def undecidable(plan: Plan, profile: Profile | None) -> tuple[str, ...]:
    """A sentence per gate that no traffic will ever let pass, so that only a person ends an analysis with it.

    `profile` is the candidate's baseline document, None when it has none.
    """
    shares = {plan.weight_at(at) for at, step in enumerate(plan.steps) if isinstance(step, Analyse)}
    if not shares:
        return ()
    found = ((gate, _why(gate, profile, 100 in shares)) for gate in parse_gates(plan.gates))
    return tuple(f"Gate “{gate.name}” can never pass: {why}." for gate, why in found if why)


def _why(gate: GateSpec, profile: Profile | None, alone: bool) -> str:
    """`alone`: an analysis runs while the candidate has all traffic."""
    if isinstance(gate, DistributionGate) and gate.against == "baseline":
        return _small_baseline(gate, profile)
    if isinstance(gate, InputDriftGate):
        return _small_inputs(gate, profile)
    if alone and _needs_stable(gate):
        return (
            "it compares with the stable version, and the plan analyses while the candidate has all traffic; "
            "leave the gate out or analyse at a smaller share"
        )
    return ""


def _needs_stable(gate: GateSpec) -> bool:
    if isinstance(gate, CustomGate):
        return gate.needs_stable()
    return isinstance(gate, DistributionGate | KayentaGate | PairedGate)


def _small_baseline(gate: DistributionGate, profile: Profile | None) -> str:
    output = outputs.describe(profile, gate.output)
    side = outputs.baseline(profile, output) if output else None
    if output is None or side is None:
        what = gate.output or "its outputs"
        return (
            f"the version has no baseline of {what}; register it with a reference set, or leave the gate out"
        )
    return _too_few(f"the version's baseline of {output.name}", outputs.total(side), gate.min_samples)


def _small_inputs(gate: InputDriftGate, profile: Profile | None) -> str:
    totals = {
        item["name"]: outputs.total(outputs.counts_of(item))
        for item in (profile or {}).get("inputs") or ()
        if gate.statistic != "ks" or item["kind"] != "categorical"
    }
    unknown = [name for name in gate.features if name not in totals]
    if unknown or not totals:
        what = unknown[0] if unknown else "its inputs"
        return (
            f"the version has no baseline of {what}; register it with a reference set, or leave the gate out"
        )
    largest = max(totals[name] for name in gate.features or totals)
    return _too_few("the version's baseline of its inputs", largest, gate.min_samples)


def _too_few(what: str, rows: float, least: int) -> str:
    if rows >= least:
        return ""
    return (
        f"{what} has {rows:,.0f} values, which stay as they are, and the gate asks for {least:,}; register "
        "the version with a larger reference set, or give gates with a smaller `min_samples` or without it"
    )
