"""Gate specifications: from the JSON of a plan to values, and the default template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.domain.judge.custom import CustomGate
from monitoring.domain.judge.distribution import DistributionGate
from monitoring.domain.judge.error_rate import ErrorRateGate
from monitoring.domain.judge.fields import Fields
from monitoring.domain.judge.input_drift import InputDriftGate
from monitoring.domain.judge.kayenta import KayentaGate
from monitoring.domain.judge.latency import LatencyGate
from monitoring.domain.judge.outcome import OutcomeGate
from monitoring.domain.judge.paired import PairedGate
from monitoring.domain.judge.saturation import SaturationGate
from registry.errors import Invalid

GateSpec = (
    ErrorRateGate | LatencyGate | DistributionGate | InputDriftGate | OutcomeGate | PairedGate
    | SaturationGate | CustomGate | KayentaGate
)  # fmt: skip
_GATES: tuple[type[GateSpec], ...] = (
    ErrorRateGate, LatencyGate, DistributionGate, InputDriftGate, OutcomeGate, PairedGate, SaturationGate,
    CustomGate, KayentaGate,
)  # fmt: skip
KINDS: Mapping[str, type[GateSpec]] = {gate.kind: gate for gate in _GATES}
MAX_GATES = 50

# What a rollout uses when its plan names no gates; the same JSON that a user writes.
DEFAULT_GATES: tuple[Mapping[str, Any], ...] = (
    {"kind": "error_rate", "name": "errors", "max": 0.02, "min_effect": 0.005, "min_samples": 20},
    {
        "kind": "error_rate", "name": "rejected", "statuses": ["rejected"], "max": None, "min_effect": 0.02,
        "min_samples": 20,
    },
    {
        "kind": "latency", "name": "latency_p95", "quantile": 0.95, "max_ratio": 1.5, "min_effect_ms": 3,
        "max_ms": None, "min_samples": 60,
    },
    {
        "kind": "distribution", "name": "output", "metric": "model_output_value", "output": None,
        "statistic": "psi", "max": 0.2, "against": "stable", "min_samples": 100,
    },
)  # fmt: skip


def parse_gates(document: object, path: str = "gates") -> tuple[GateSpec, ...]:
    """Gates from a list of JSON objects; raises Invalid with the path of the first bad field."""
    if not isinstance(document, Sequence) or isinstance(document, str | bytes):
        raise Invalid("Expected a list of gates.", field=path, hint='For example [{"kind": "error_rate"}].')
    if not document:
        raise Invalid(
            "An analysis needs at least one gate.",
            field=path,
            hint="Leave it out for the default gates.",
        )
    if len(document) > MAX_GATES:
        raise Invalid(f"At most {MAX_GATES} gates are allowed, got {len(document)}.", field=path)
    gates = tuple(parse_gate(item, f"{path}[{index}]") for index, item in enumerate(document))
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        if gate.name in seen:
            hint = "Give every gate its own name."
            raise Invalid(f"Two gates are named {gate.name!r}.", field=f"{path}[{index}].name", hint=hint)
        seen.add(gate.name)
    return gates


def parse_gate(document: object, path: str) -> GateSpec:
    """One gate from a JSON object; raises Invalid with the path of the bad field."""
    if not isinstance(document, Mapping):
        raise Invalid(
            "Expected an object with a kind.",
            field=path,
            hint=f"Kinds: {', '.join(sorted(KINDS))}.",
        )
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Invalid(
            f"Unknown gate kind {kind!r}.",
            field=f"{path}.kind",
            hint=f"Kinds: {', '.join(sorted(KINDS))}.",
        )
    fields = Fields(document, path)
    gate = KINDS[kind].parse(fields)
    fields.done()
    return gate
