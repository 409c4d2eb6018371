"""Keeping how right each version was: windows are measured anew whenever a label for them arrives."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import Exists, OuterRef

from monitoring.domain.concept import Answer, assess
from monitoring.domain.window import Window
from monitoring.models import Chore, ConceptReading, Label, Prediction
from monitoring.samples.outcomes import labelled
from monitoring.samples.retention import delete_in_steps

CHORE = "concept"
# What arrives while a window is measured is looked at again: transactions commit later than they begin.
OVERLAP_SECONDS = 60.0
# So many labels or predictions are joined at once, for so long at a time: a task has 45 s.
SLICE_ROWS = 10_000
BUDGET_SECONDS = 20.0
CHUNK = 500
# Endpoint, version, label, end of the window.
Cell = tuple[str, str, str, float]


def update(now: float) -> int:
    """Measure every window that got labels or labelled predictions since the last time; how many.

    In slices, and no longer than BUDGET_SECONDS: what is done stays done, the rest is for the next time.
    """
    chore, _ = Chore.objects.get_or_create(name=CHORE)
    began, since, measured = time.monotonic(), chore.done_until, 0
    overlap = OVERLAP_SECONDS
    while since < now:
        until = _until(since, now)
        cells = sorted({*_labelled(since - overlap, until), *_predicted(since - overlap, until)})
        for cell in cells:
            _measure(cell)
        measured, since, overlap = measured + len(cells), until, 0.0
        Chore.objects.filter(pk=chore.pk).update(done_until=since)
        if time.monotonic() - began > BUDGET_SECONDS:
            break
    return measured


def _until(since: float, now: float) -> float:
    """How far a slice goes: to `now`, or to where SLICE_ROWS labels or predictions have arrived."""
    ends = [now]
    for table in (Label, Prediction):
        rows = table.objects.filter(received__gt=since, received__lte=now).order_by("received")
        ends += rows.values_list("received", flat=True)[SLICE_ROWS - 1 : SLICE_ROWS]
    return min(ends)


def trim(now: float) -> int:
    """Delete readings older than drift's, in short steps; returns how many."""
    oldest = now - settings.SLIPWAY_DRIFT_KEEP_DAYS * 86_400
    return delete_in_steps(ConceptReading.objects.filter(at__lt=oldest).order_by("at"))


def readings(endpoint: str, window: Window, *, name: str | None = None) -> list[ConceptReading]:
    """The readings of all versions whose windows end in `window`, oldest first."""
    rows = ConceptReading.objects.filter(
        endpoint=endpoint, at__gt=window.start.timestamp(), at__lte=window.end.timestamp()
    )
    return list((rows.filter(name=name) if name else rows).order_by("at", "version", "name"))


def arrived(endpoint: str) -> tuple[int, int]:
    """How many labels of the endpoint are kept, and how many sampled predictions that could join them."""
    return Label.objects.filter(endpoint=endpoint).count(), Prediction.objects.filter(
        endpoint=endpoint
    ).count()


def _labelled(since: float, until: float) -> Iterator[Cell]:
    arrived = Label.objects.filter(received__gt=since, received__lte=until)
    rows = arrived.values_list("endpoint", "name", "request_id", "version")
    wanted: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for endpoint, name, request_id, version in rows.iterator(chunk_size=CHUNK):
        wanted[endpoint][request_id].add((name, version))
    for endpoint, names in wanted.items():
        for ids in _chunks(names):
            found = Prediction.objects.filter(endpoint=endpoint, request_id__in=ids)
            for request_id, version, at in found.values_list("request_id", "version", "at"):
                for name, only in names[request_id]:
                    if only in {"", version}:
                        yield endpoint, version, name, _end(at)


def _predicted(since: float, until: float) -> Iterator[Cell]:
    """Windows of predictions that came after their label."""
    label = Label.objects.filter(endpoint=OuterRef("endpoint"), request_id=OuterRef("request_id"))
    rows = Prediction.objects.filter(Exists(label), received__gt=since, received__lte=until)
    late: dict[str, dict[str, list[tuple[str, float]]]] = defaultdict(lambda: defaultdict(list))
    found = rows.values_list("endpoint", "request_id", "version", "at")
    for endpoint, request_id, version, at in found.iterator(chunk_size=CHUNK):
        late[endpoint][request_id].append((version, at))
    for endpoint, requests in late.items():
        for ids in _chunks(requests):
            labels = Label.objects.filter(endpoint=endpoint, request_id__in=ids)
            for request_id, name in labels.values_list("request_id", "name"):
                for version, at in requests[request_id]:
                    yield endpoint, version, name, _end(at)


def _measure(cell: Cell) -> None:
    endpoint, version, name, end = cell
    start = end - settings.SLIPWAY_DRIFT_INTERVAL
    window = Window(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
    pairs: list[tuple[Answer, float | str]] = []
    rows = labelled(endpoint, name, [version], window).values_list("outputs", "number", "text")
    for outputs, number, text in rows.iterator(chunk_size=2_000):
        answer = Answer.of(outputs) if number is not None or text else None
        if answer is not None:
            pairs.append((answer, text if number is None else number))
    found = assess(pairs)
    if found is None:
        return
    ConceptReading.objects.update_or_create(
        endpoint=endpoint, version=version, name=name, at=end,
        defaults={"start": start, "kind": found.kind, "n": found.n, "metrics": dict(found.metrics)},
    )  # fmt: skip


def _end(at: float) -> float:
    """The end of the window (end − interval, end] that the moment is in."""
    interval: float = settings.SLIPWAY_DRIFT_INTERVAL
    return -(-at // interval) * interval


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    items = list(ids)
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
