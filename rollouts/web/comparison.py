"""Pages of shadow comparison: where two versions disagree, and all that is known of one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from monitoring.domain.pairs import Comparison
from monitoring.queries.comparison import Compared, answers_to, comparison
from registry.domain.text import clean_line
from rollouts import reach
from rollouts.domain.asking import tolerance_of, window_of
from rollouts.web.door import page

SHOWN_VALUES = 4
NONE = "–"


@dataclass(frozen=True, slots=True)
class Row:
    """A disagreement as the table shows it."""

    request_id: str
    url: str
    at: datetime
    stable: str
    candidate: str
    difference: str


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment's figures as text."""

    name: str
    pairs: int
    agreement: str
    difference: str
    correlation: str
    worst: Sequence[Row] = ()


@page()
def compared(request: HttpRequest, name: str) -> HttpResponse:
    """The comparison of `?stable=` and `?candidate=`, as a page or as a fragment of the rollout's page."""
    found = comparison(
        reach.endpoint_for(request.user, name).name,
        clean_line(request.GET.get("stable"), field="stable", maximum=64, required=True),
        clean_line(request.GET.get("candidate"), field="candidate", maximum=64, required=True),
        window_of(request.GET, timezone.now()),
        output=clean_line(request.GET.get("output"), field="output", maximum=200) or None,
        tolerance=tolerance_of(request.GET),
    )
    context = {
        "found": found,
        "whole": _segment("all requests", found.whole),
        "agreed": f"{found.whole.agreed:,} of {found.whole.pairs:,}",
        "segments": [_segment(name, item, _rows(found, item)) for name, item in found.segments.items()],
        "worst": _rows(found, found.whole),
    }
    fragment = getattr(request, "htmx", False)
    return render(request, "rollouts/_comparison.html" if fragment else "rollouts/comparison.html", context)


@page()
def sampled_request(request: HttpRequest, name: str, request_id: str) -> HttpResponse:
    """Every version's answer to one request, and its labels."""
    predictions, labels = answers_to(reach.endpoint_for(request.user, name).name, request_id)
    context = {
        "endpoint": name,
        "request_id": request_id,
        "predictions": [
            {
                "row": row,
                "at": moment(row.at),
                "outputs": [(key, _values(value, 50)) for key, value in row.outputs.items()],
            }
            for row in predictions
        ],
        "labels": [
            {"row": row, "at": moment(row.at), "value": row.text if row.number is None else f"{row.number:g}"}
            for row in labels
        ],
    }
    return render(request, "rollouts/request.html", context, status=200 if predictions or labels else 404)


def moment(at: float) -> datetime:
    """Unix time as a moment."""
    return datetime.fromtimestamp(at, UTC)


def _rows(found: Compared, of: Comparison) -> list[Row]:
    return [
        Row(
            request_id=item.request_id,
            url=reverse("rollouts:request", args=[found.endpoint, item.request_id]),
            at=moment(item.at),
            stable=_values(item.stable, SHOWN_VALUES),
            candidate=_values(item.candidate, SHOWN_VALUES),
            difference=NONE if item.difference is None else f"{item.difference:.4g}",
        )
        for item in of.worst
    ]


def _segment(name: str, item: Comparison, worst: Sequence[Row] = ()) -> SegmentRow:
    facts: Mapping[str, Any] = item.to_dict()

    def figure(key: str) -> str:
        return NONE if facts[key] is None else f"{facts[key]:.4g}"

    return SegmentRow(
        name=name,
        pairs=item.pairs,
        agreement=f"{100 * item.rate:.2f} %" if item.pairs else NONE,
        difference=figure("mean_absolute_difference"),
        correlation=figure("rank_correlation"),
        worst=worst,
    )


def _values(values: Sequence[Any], most: int) -> str:
    shown = ", ".join(
        NONE if value is None else f"{value:.6g}" if isinstance(value, int | float) else str(value)
        for value in values[:most]
    )
    return f"{shown}, … ({len(values)})" if len(values) > most else shown
