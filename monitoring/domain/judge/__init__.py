"""The judge: gate specifications, one module of pure statistics per kind of gate, and the verdict."""

from monitoring.domain.judge.custom import CustomGate
from monitoring.domain.judge.distribution import DistributionGate
from monitoring.domain.judge.error_rate import ErrorRateGate
from monitoring.domain.judge.evidence import Judgement, Subject
from monitoring.domain.judge.gates import DEFAULT_GATES, GateSpec, parse_gate, parse_gates
from monitoring.domain.judge.input_drift import InputDriftGate
from monitoring.domain.judge.kayenta import KayentaGate
from monitoring.domain.judge.latency import LatencyGate
from monitoring.domain.judge.outcome import OutcomeGate
from monitoring.domain.judge.paired import PairedGate
from monitoring.domain.judge.saturation import SaturationGate
from monitoring.domain.judge.verdict import GateResult, Verdict, combine

__all__ = [
    "DEFAULT_GATES",
    "CustomGate",
    "DistributionGate",
    "ErrorRateGate",
    "GateResult",
    "GateSpec",
    "InputDriftGate",
    "Judgement",
    "KayentaGate",
    "LatencyGate",
    "OutcomeGate",
    "PairedGate",
    "SaturationGate",
    "Subject",
    "Verdict",
    "combine",
    "parse_gate",
    "parse_gates",
]
