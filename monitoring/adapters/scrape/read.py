"""From stored pages to increases per series: the least reading that a window needs.

Of a target's rows only those at the asked moments are decoded, and those on both sides of a restart
(`epoch` changes): between two rows of one epoch no counter fell, so their difference is the increase.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from monitoring.adapters.scrape.codec import decode
from monitoring.adapters.scrape.collect import SELF_JOB, fell
from monitoring.adapters.scrape.exposition import Layout
from monitoring.domain.arrays import FloatArray
from monitoring.domain.labels import accepts
from monitoring.domain.series import LOOKBACK_SECONDS, increments
from monitoring.models import Scrape, ScrapeLayout, ScrapeTarget
from monitoring.ports import Where

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A stored page without its values."""

    id: int
    at: float
    epoch: int
    up: bool
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    layout: Layout
    values: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class TargetRows:
    """One target's rows by time, from at most LOOKBACK_SECONDS before the first asked moment."""

    labels: Mapping[str, str]
    born_at: float | None
    rows: tuple[Row, ...]


def targets(where: Where, moments: FloatArray) -> list[TargetRows]:
    """Targets that may hold series selected by `where`, with their rows up to the last moment."""
    start, end = float(moments[0]) - LOOKBACK_SECONDS, float(moments[-1])
    found = [target for target in _candidates(where, start) if _may_match(target.labels, where)]
    rows: dict[int, list[Row]] = defaultdict(list)
    query = Scrape.objects.filter(target__in=[target.pk for target in found], at__gte=start, at__lte=end)
    fields = ("target_id", "id", "at", "epoch", "up", "layout__digest")
    for target_id, *row in query.order_by("target_id", "at").values_list(*fields):
        rows[target_id].append(Row(*row))
    return [
        TargetRows(
            {**target.labels, "instance": target.address},
            target.first_seen if target.born else None,
            tuple(rows[target.pk]),
        )
        for target in found
        if rows[target.pk]
    ]


def _candidates(where: Where, since: float) -> Iterable[ScrapeTarget]:
    query = ScrapeTarget.objects.filter(last_seen__gte=since)
    endpoint = where.get("endpoint")
    if endpoint is None:
        return query
    # A page without the target label may carry series of many endpoints: the gateway's does, ours does not.
    names = [endpoint] if isinstance(endpoint, str) else list(endpoint)
    return query.filter(endpoint__in=[*names, ""]).exclude(job=SELF_JOB)


def _may_match(labels: Mapping[str, str], where: Where) -> bool:
    """Whether series of a target can match: a label that the target lacks can be on the series."""
    return all(accepts(wanted, labels[name]) for name, wanted in where.items() if labels.get(name))


def pages(ids: Iterable[int]) -> dict[int, Page]:
    """The decoded pages of these rows, by row id."""
    wanted = sorted(set(ids))
    found: dict[int, Page] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = Scrape.objects.filter(pk__in=wanted[start : start + _CHUNK], up=True)
        for pk, digest, values in query.values_list("pk", "layout__digest", "values"):
            found[pk] = Page(layout(digest), decode(bytes(values)))
    return found


@lru_cache(maxsize=1024)
def layout(digest: str) -> Layout:
    """A stored layout; layouts never change, so they are kept."""
    return Layout.load(bytes(ScrapeLayout.objects.values_list("columns", flat=True).get(digest=digest)))


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows of one target to decode, in order of time, and which of them answer which moment.

    `rows` starts with the base; `answers[i]` is the position in `rows` of the last row at or before moment
    i (0 when none is newer than the base); `measured[i]` whether a row lies between moments i−1 and i.
    """

    rows: tuple[Row, ...]
    from_zero: bool
    answers: tuple[int, ...]
    measured: tuple[bool, ...]


def plan(target: TargetRows, moments: FloatArray) -> Plan | None:
    """The rows that tell the increases between neighbouring `moments`; None without any in between."""
    rows = [row for row in target.rows if row.up]
    times = np.array([row.at for row in rows])
    upto = np.searchsorted(times, moments, side="right")
    if not rows or upto[-1] == upto[0]:
        return None
    has_base = upto[0] > 0
    first = int(upto[0]) - 1 if has_base else 0
    ends = {max(first, int(count) - 1) for count in upto}
    bounds = {i for left, right in pairwise(range(first, len(rows))) if rows[left].epoch != rows[right].epoch
              for i in (left, right)}  # fmt: skip
    picked = sorted(ends | {i for i in bounds if i < upto[-1]} | {first})
    position = {index: place for place, index in enumerate(picked)}
    born = not has_base and target.born_at is not None and target.rows[0].at <= target.born_at
    return Plan(
        tuple(rows[index] for index in picked),
        from_zero=born,
        answers=tuple(position[max(first, int(count) - 1)] for count in upto),
        measured=tuple(bool(right > left) for left, right in pairwise(upto)),
    )


def plans(where: Where, moments: FloatArray) -> Iterator[tuple[Mapping[str, str], Plan, list[Page]]]:
    """Every target's labels, plan and decoded pages, for the increases between neighbouring moments."""
    made = [(target.labels, plan(target, moments)) for target in targets(where, moments)]
    found = [(labels, item) for labels, item in made if item is not None]
    decoded = pages(row.id for _, item in found for row in item.rows)
    for labels, item in found:
        yield labels, item, [decoded[row.id] for row in item.rows]


def restarted(before: Page, after: Page) -> bool:
    """Whether the process began anew between two pages: a counter that both have fell."""
    return fell(before.layout, before.values, after.layout, after.values, gone=False)


def gains(item: Plan, values: FloatArray) -> FloatArray:
    """Increases between neighbouring moments, shape (moments − 1, series), from values (rows, series).

    NaN is a value that is not known: the last known one stands for it, 0 before the first, since counters
    are born at zero.
    """
    known = _filled(values)
    base = np.zeros_like(known[:1]) if item.from_zero else known[:1]
    total = np.cumsum(np.concatenate([known[:1] - base, increments(known)]), axis=0)
    # Between the base and itself nothing was gained, except from zero: then moment 0 precedes the base.
    at_moments = total[list(item.answers)]
    if item.from_zero:
        before = np.array([not any(item.measured[:index]) for index in range(len(item.answers))])
        at_moments[before] = 0.0
    steps: FloatArray = np.diff(at_moments, axis=0)
    return steps


def _filled(values: FloatArray) -> FloatArray:
    """NaN samples replaced by the series' previous value, 0 before the first."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    filled = np.where(missing, 0.0, values)
    for index in range(1, len(values)):
        filled[index] = np.where(missing[index], filled[index - 1], values[index])
    return filled
