"""The judge: gate specifications, one module of pure statistics per kind of gate, and the verdict."""

from monitoring.domain.judge.distribution import DistributionGate
from monitoring.domain.judge.error_rate import ErrorRateGate
from monitoring.domain.judge.evidence import Judgement, Subject
from monitoring.domain.judge.gates import DEFAULT_GATES, GateSpec, parse_gates
from monitoring.domain.judge.kayenta import KayentaGate
from monitoring.domain.judge.latency import LatencyGate
from monitoring.domain.judge.outcome import OutcomeGate
from monitoring.domain.judge.paired import PairedGate
from monitoring.domain.judge.verdict import GateResult, Verdict, combine

__all__ = [
    "DEFAULT_GATES",
    "DistributionGate",
    "ErrorRateGate",
    "GateResult",
    "GateSpec",
    "Judgement",
    "KayentaGate",
    "LatencyGate",
    "OutcomeGate",
    "PairedGate",
    "Subject",
    "Verdict",
    "combine",
    "parse_gates",
]
