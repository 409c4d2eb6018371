"""From stored pages to increases per series: the least reading that a window needs.

Of a target's rows only those around the asked moments are decoded, and those on both sides of a restart
(`epoch` changes): between two rows of one epoch no counter fell, so their difference is the increase.
Old history is thinned, so a moment can lie far from any page: then what was gained between the pages on
both sides of it is spread evenly over the time between them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from monitoring.adapters.scrape.codec import decode
from monitoring.adapters.scrape.collect import SELF_JOB, fell
from monitoring.adapters.scrape.exposition import Layout
from monitoring.domain import series
from monitoring.domain.arrays import BoolArray, FloatArray
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


def targets(where: Where, moments: FloatArray, beyond: float = 0.0) -> list[TargetRows]:
    """Targets that may hold series selected by `where`, with rows up to `beyond` s after the last moment."""
    start, end = float(moments[0]) - LOOKBACK_SECONDS, float(moments[-1]) + beyond
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


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Which rows of one target to decode, in order of time, and what to read off them.

    `rows` starts with the base. Totals are wanted at `moments` (Unix times), spread between rows; a moment
    for which the page before it is near enough is the time of that page. `measured[i]` tells whether the
    step between the asked moments i and i+1 is known. `until` is where the last gain is stretched to.
    """

    rows: tuple[Row, ...]
    from_zero: bool
    moments: FloatArray
    measured: BoolArray
    until: float | None


def plan(target: TargetRows, moments: FloatArray, near: float) -> Plan | None:
    """The rows that tell the increases between neighbouring `moments`; None where nothing is known.

    Where the pages around a moment are at most `near` s apart, the page before stands for it: then increases
    are whole numbers. With `near` 0 all gains are spread, and the last one is stretched to the last moment.
    """
    rows = [row for row in target.rows if row.up]
    times = np.array([row.at for row in rows])
    down = np.array([row.at for row in target.rows if not row.up])
    end = float(moments[-1])
    goes_on = not near and series.stretches(times, end) and not (down > times[-1]).any()
    known = series.measured(np.append(times, end) if goes_on else times, moments, down)
    read_at = _settled(rows, times, moments, down, near) if near and rows else moments
    if not known.any() or read_at[0] == read_at[-1]:
        return None
    upto = np.searchsorted(times, read_at, side="right")
    between = ~np.isin(read_at, times) & (upto > 0) & (upto < len(rows))
    first, last = max(0, int(upto[0]) - 1), int(upto[-1]) - 1 + int(between[-1])
    around = {max(first, int(count) - 1) for count in upto} | {int(count) for count in upto[between]}
    bounds = {i for left, right in pairwise(range(first, last + 1)) if rows[left].epoch != rows[right].epoch
              for i in (left, right)}  # fmt: skip
    ends = {max(first, last - 1), last} if not near else {last}
    picked = sorted(around | bounds | ends | {first})
    return Plan(
        tuple(rows[index] for index in picked),
        from_zero=bool(upto[0] == 0 and target.born_at is not None and target.rows[0].at <= target.born_at),
        moments=read_at,
        measured=known,
        until=end if goes_on else None,
    )


def _settled(
    rows: Sequence[Row], times: FloatArray, moments: FloatArray, down: FloatArray, near: float
) -> FloatArray:
    """The moments, each moved to the page before it where that is near, or what lies between is not known."""
    upto = np.searchsorted(times, moments, side="right")
    left, right = np.maximum(upto - 1, 0), np.minimum(upto, len(times) - 1)
    epochs = np.array([row.epoch for row in rows])
    apart = (times[right] - times[left] > near) & (epochs[left] == epochs[right])
    found: FloatArray = np.where(
        (upto == 0) | (apart & series.bridged(times, moments, down)), moments, times[left]
    )
    return found


def plans(
    where: Where, moments: FloatArray, near: float
) -> Iterator[tuple[Mapping[str, str], Plan, list[Page]]]:
    """Every target's labels, plan and decoded pages, for the increases between neighbouring moments."""
    made = [
        (target.labels, plan(target, moments, near)) for target in targets(where, moments, LOOKBACK_SECONDS)
    ]
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
    times = np.array([row.at for row in item.rows])
    if item.until is not None:
        times, total = series.stretched(times, total, item.until)
    steps: FloatArray = np.diff(series.spread(times, total, item.moments), axis=0)
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
