"""Charts of an endpoint: asks monitoring, and says so when the metrics did not answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from monitoring import queries
from monitoring.domain.charts import Chart
from monitoring.domain.window import Window
from monitoring.errors import MetricsUnavailable
from monitoring.queries import Mark, VersionLine
from monitoring.wiring import metrics_source
from rollouts.domain.phases import TERMINAL, Phase
from rollouts.models import Transition


class PreviousLine(VersionLine):
    """The version that served before: drawn like a baseline, named for what it is."""

    @property
    def label(self) -> str:
        return f"version {self.ref} (previous)"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Charts, or why there are none."""

    charts: tuple[Chart, ...] = ()
    problem: str = ""


def endpoint_charts(
    endpoint: str,
    *,
    stable: str | None,
    candidate: str | None,
    previous: str | None = None,
    window: Window,
    marks: Sequence[Mark],
    profile: Mapping[str, Any] | None = None,
) -> Drawn:
    """Requests, errors, latency and output distribution of the versions over the window."""
    lines = lines_of(stable, candidate, previous)
    source = metrics_source()
    try:
        charts = [*queries.endpoint_charts(source, endpoint, lines, window, marks)]
        distribution = queries.distribution_chart(source, endpoint, lines, window, profile=profile)
    except MetricsUnavailable as error:
        return Drawn(problem=str(error))
    return Drawn(charts=(*charts, *([distribution] if distribution else [])))


def lines_of(stable: str | None, candidate: str | None, previous: str | None) -> list[VersionLine]:
    """Each version once, the candidate last."""
    lines: list[VersionLine] = []
    if previous and previous not in {stable, candidate}:
        lines.append(PreviousLine(previous, "baseline"))
    if stable:
        lines.append(VersionLine(stable, "stable"))
    if candidate:
        lines.append(VersionLine(candidate, "candidate"))
    return lines


def step_marks(transitions: Iterable[Transition]) -> tuple[Mark, ...]:
    """The moments that a reader looks for on the time axis: new weights, the rollback, the promotion."""
    marks: list[Mark] = []
    weight = 0
    rows = list(transitions)
    concluded = any(transition.to_phase == Phase.CONCLUDED for transition in rows)
    for transition in rows:
        moved = transition.from_phase != transition.to_phase
        if moved and transition.to_phase == Phase.ROLLING_BACK:
            marks.append(_end(transition) if concluded else _rollback(transition))
        elif transition.weight != weight and transition.to_phase not in TERMINAL - {Phase.SUCCEEDED}:
            kind = "promote" if transition.weight == 100 else "step"
            marks.append(Mark(at=transition.at, label=f"{transition.weight} %", kind=kind))
        weight = transition.weight
    return tuple(marks)


def _rollback(transition: Transition) -> Mark:
    return Mark(at=transition.at, label="rollback", kind="rollback")


def _end(transition: Transition) -> Mark:
    """The traffic goes back because the plan ends without a promotion."""
    return Mark(at=transition.at, label="end", kind="step")


def outcome_marks(transitions: Iterable[Transition]) -> tuple[Mark, ...]:
    """Only how rollouts ended: an endpoint's charts span many of them, and their steps would not fit."""
    kinds = {Phase.ROLLING_BACK.value: "rollback", Phase.SUCCEEDED.value: "promote"}
    return tuple(
        Mark(at=transition.at, label=kinds[transition.to_phase], kind=kinds[transition.to_phase])
        for transition in transitions
        if transition.to_phase in kinds and transition.from_phase != transition.to_phase
    )


def show(request: HttpRequest, drawn: Drawn, *, still: bool = False) -> HttpResponse:
    """The charts as a fragment, or as a page of their own for browsers without JavaScript.

    still: nothing will change any more, so the fragment need not be polled.
    """
    template = "rollouts/_charts.html" if getattr(request, "htmx", False) else "rollouts/charts.html"
    return render(request, template, {"drawn": drawn, "still": still})
