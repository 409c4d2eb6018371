"""From gates and a metrics source to a judgement. Nothing here decides: the judge does, on numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import singledispatch

from monitoring.adapters.cached import CachedSource, Question, Recorder
from monitoring.domain import outputs
from monitoring.domain.judge import (
    custom,
    distribution,
    error_rate,
    input_drift,
    kayenta,
    latency,
    outcome,
    paired,
    saturation,
    sustained,
)
from monitoring.domain.judge.custom import CustomGate
from monitoring.domain.judge.distribution import BinnedPair, DistributionGate
from monitoring.domain.judge.error_rate import ErrorRateGate, Outcomes
from monitoring.domain.judge.evidence import Judgement, Subject
from monitoring.domain.judge.gates import GateSpec
from monitoring.domain.judge.input_drift import InputDriftGate
from monitoring.domain.judge.kayenta import KayentaGate
from monitoring.domain.judge.latency import LatencyGate
from monitoring.domain.judge.outcome import OutcomeGate
from monitoring.domain.judge.paired import PairedGate
from monitoring.domain.judge.saturation import SaturationGate
from monitoring.domain.judge.spending import alpha_of_look, alpha_of_window
from monitoring.domain.judge.verdict import GateResult, Verdict, combine
from monitoring.domain.pairs import by_segment, compare
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.ports import MetricsSource
from monitoring.queries.columns import columns_of
from monitoring.queries.outputs import find_output, live_outputs
from monitoring.queries.points import points_of
from monitoring.samples.outcomes import outcomes_of
from monitoring.samples.pairs import paired as pairs_of

__all__ = ["Judgement", "Subject", "Window", "judge"]

logger = logging.getLogger(__name__)


def judge(gates: Sequence[GateSpec], subject: Subject, source: MetricsSource, now: datetime) -> Judgement:
    """Judge every gate over the subject's window at this look; never raises.

    The rollout's budget for false alarms is split over gates and windows, and every gate's test stays valid
    however often one looks. A provider that does not answer, and a bug inside a gate, are the
    verdict `error`: never a pass, never a reason to roll back.
    """
    cached = CachedSource(source)
    results = tuple(_guarded(gate, Case(subject, cached, len(gates))) for gate in gates)
    verdict, reason = combine(results)
    return Judgement(verdict, reason, results, now, subject.window)


def questions(gates: Sequence[GateSpec], subject: Subject, now: datetime) -> list[Question]:
    """What judging these gates will ask first, so that many analyses can ask together."""
    recorder = Recorder()
    judge(gates, subject, recorder, now)
    return list(recorder.questions)


def _guarded(gate: GateSpec, case: Case) -> GateResult:
    try:
        return _judge_gate(gate, case)
    except MetricsUnavailable as error:
        reason = f"the metrics provider did not answer: {error.message}"
    except outputs.NotComparable as error:
        reason = f"cannot be judged: {error}"
    except Exception as error:
        logger.exception("Gate %s of endpoint %s could not be judged", gate.name, case.subject.endpoint)
        reason = f"could not be judged because of an error of Slipway's own ({type(error).__name__}: {error})"
    return GateResult(gate.name, gate.kind, Verdict.ERROR, reason)


@dataclass(frozen=True, slots=True)
class Case:
    """What one gate is judged on, and how many gates share the rollout's budget for false alarms."""

    subject: Subject
    source: MetricsSource
    gates: int

    @property
    def alpha(self) -> float:
        """The level of a test that holds for all looks at a window together."""
        return alpha_of_window(self.subject.windows, self.gates)

    @property
    def alpha_now(self) -> float:
        """The level of a test that holds for this look alone."""
        return alpha_of_look(self.subject.look, self.gates)


@singledispatch
def _judge_gate(gate: object, case: Case) -> GateResult:
    """One function per kind of gate; one that is missing is an error of the gate, never a pass."""
    raise TypeError(f"{type(gate).__name__} cannot be judged")


@_judge_gate.register
def _error_rate(gate: ErrorRateGate, case: Case) -> GateResult:
    by_version = _outcomes(gate, case.subject, case.source)
    candidate = by_version.get(case.subject.candidate, Outcomes(0, 0))
    return error_rate.judge(gate, candidate, by_version.get(case.subject.stable or ""), case.alpha)


@_judge_gate.register
def _latency(gate: LatencyGate, case: Case) -> GateResult:
    subject = case.subject
    found = case.source.histogram(
        gate.metric, by=("model_version",), where=_where(subject), window=subject.window
    )
    sides = found.get((subject.candidate,)), found.get((subject.stable or "",))
    return latency.judge(gate, *sides, case.alpha)


@_judge_gate.register
def _distribution(gate: DistributionGate, case: Case) -> GateResult:
    return distribution.judge(gate, _pair(gate, case.subject, case.source), case.alpha_now)


@_judge_gate.register
def _input_drift(gate: InputDriftGate, case: Case) -> GateResult:
    return input_drift.judge(gate, _features(gate, case.subject, case.source), case.alpha_now)


@_judge_gate.register
def _outcome(gate: OutcomeGate, case: Case) -> GateResult:
    subject = case.subject
    versions = [subject.candidate, *([subject.stable] if subject.stable else [])]
    values = outcomes_of(subject.endpoint, gate.outcome, versions, subject.window)
    return outcome.judge(gate, values[subject.candidate], values.get(subject.stable or ""), case.alpha)


@_judge_gate.register
def _paired(gate: PairedGate, case: Case) -> GateResult:
    subject = case.subject
    if subject.stable is None:
        raise outputs.NotComparable("there is no stable version whose answers could be compared")
    found = pairs_of(
        subject.endpoint,
        subject.stable,
        subject.candidate,
        subject.window,
        output=gate.output,
        profile=subject.profile,
    )
    segments = by_segment(found.pairs, gate.allowed)
    return paired.judge(gate, found.output, compare(found.pairs, gate.allowed), segments, case.alpha)


@_judge_gate.register
def _kayenta(gate: KayentaGate, case: Case) -> GateResult:
    subject = case.subject
    if subject.stable is None:
        raise outputs.NotComparable("there is no stable version to compare with")
    if subject.window.seconds < gate.seconds:
        return kayenta.waiting(gate, subject.window.seconds)
    versions = (subject.candidate, subject.stable)
    found = points_of(gate, case.source, subject.endpoint, versions, subject.window)
    return kayenta.judge(gate, found[subject.candidate], found[subject.stable])


@_judge_gate.register
def _saturation(gate: SaturationGate, case: Case) -> GateResult:
    subject = case.subject
    window = gate.lasting.within(subject.window)
    if window is None:
        return sustained.young(gate.name, gate.kind, gate.lasting, subject.window)
    where = {"endpoint": subject.endpoint, "model_version": subject.candidate}
    found = case.source.gauges(
        gate.metric, by=("instance",), where=where, window=window, step=gate.step_seconds
    )
    return saturation.judge(gate, {instance: series.values for (instance,), series in found.items()})


@_judge_gate.register
def _custom(gate: CustomGate, case: Case) -> GateResult:
    subject = case.subject
    if subject.stable is None and gate.needs_stable():
        raise outputs.NotComparable("the query names $stable and there is no stable version")
    window = gate.lasting.within(subject.window)
    if window is None:
        return sustained.young(gate.name, gate.kind, gate.lasting, subject.window)
    values = {
        "endpoint": subject.endpoint, "candidate": subject.candidate, "stable": subject.stable or "",
        "window": f"{max(1, round(subject.window.seconds))}s",
    }  # fmt: skip
    series = [
        case.source.expression(custom.filled(query, values), window=window, step=gate.step_seconds).values
        for query in gate.queries
    ]
    return custom.judge(gate, series[0], series[1] if len(series) > 1 else None)


def _where(subject: Subject) -> Mapping[str, str | list[str]]:
    versions = [subject.candidate, *([subject.stable] if subject.stable else [])]
    return {"endpoint": subject.endpoint, "model_version": versions}


def _outcomes(gate: ErrorRateGate, subject: Subject, source: MetricsSource) -> dict[str, Outcomes]:
    counts = source.increase(
        "model_predictions_total",
        by=("model_version", "status"),
        where=_where(subject),
        window=subject.window,
    )
    by_version: dict[str, dict[str, float]] = {}
    for (version, status), count in counts.items():
        by_version.setdefault(version, {})[status] = count
    return {version: Outcomes.of(statuses, gate.statuses) for version, statuses in by_version.items()}


def _features(gate: InputDriftGate, subject: Subject, source: MetricsSource) -> list[BinnedPair]:
    """The candidate's counts of each feature beside those of its profile, over the bins of both."""
    items = {item["name"]: item for item in (subject.profile or {}).get("inputs") or ()}
    unknown = [name for name in gate.features if name not in items]
    if not items or unknown:
        what = unknown[0] if unknown else "its inputs"
        raise outputs.NotComparable(f"the candidate has no baseline of {what}")
    live = columns_of(source, "inputs", subject.window, subject.endpoint, [subject.candidate])
    pairs = []
    for name in gate.features or items:
        if gate.statistic == "ks" and items[name]["kind"] == "categorical":
            continue
        counts = live.get((subject.candidate, name))
        reference = outputs.counts_of(items[name])
        if counts is None:
            pairs.append(BinnedPair.partial(name, 0.0, outputs.total(reference)))
            continue
        _, (left, right) = outputs.aligned([counts, reference])
        pairs.append(BinnedPair(name, left, right))
    return pairs


def _pair(gate: DistributionGate, subject: Subject, source: MetricsSource) -> BinnedPair:
    endpoint, window = subject.endpoint, subject.window
    output = outputs.describe(subject.profile, gate.output)
    output = output or find_output(source, endpoint, subject.candidate, window, gate.output)
    if output is None:
        return BinnedPair.partial(gate.output or "the output")
    versions = [version for version in (subject.candidate, subject.stable) if version]
    found = live_outputs(source, endpoint, versions, window, output)
    candidate = found.get(subject.candidate)
    if gate.against == "baseline":
        reference = outputs.baseline(subject.profile, output)
        if reference is None:
            raise outputs.NotComparable(f"the candidate has no baseline of {output.name}")
    else:
        if subject.stable is None:
            raise outputs.NotComparable("there is no stable version to compare with")
        reference = found.get(subject.stable)
    if candidate is None or reference is None:
        return BinnedPair.partial(output.name, outputs.total(candidate), outputs.total(reference))
    _, (left, right) = outputs.aligned([candidate, reference])
    return BinnedPair(output.name, left, right)
