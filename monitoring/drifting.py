"""Measuring the drift of live versions from the metrics, and keeping the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from django.conf import settings
from django.db.models import Max

from monitoring.domain.drift.assessment import ColumnDrift, measure, ranked, state_of
from monitoring.domain.window import Window
from monitoring.errors import MetricsGone, MetricsUnavailable
from monitoring.models import Chore, DriftReading
from monitoring.ports import MetricsSource
from monitoring.queries.columns import SIDES, columns_of, profiles
from monitoring.samples.retention import delete_in_steps

CHORE = "drift"
# So many windows that passed unmeasured, in an outage of Slipway or of the metrics, are made up for.
CATCH_UP = 24
Versions = Sequence[tuple[str, str]]


def window_before(now: float) -> Window:
    """The last whole interval before `now`, so that windows never overlap and any worker has the same."""
    interval = settings.SLIPWAY_DRIFT_INTERVAL
    end = now // interval * interval
    return Window(datetime.fromtimestamp(end - interval, UTC), datetime.fromtimestamp(end, UTC))


def live_versions(source: MetricsSource, window: Window) -> dict[str, list[tuple[str, str]]]:
    """Endpoint → the (model, version) pairs that answered in the window; one query. MetricsUnavailable."""
    by = ("endpoint", "model", "model_version")
    counts = source.increase("model_predictions_total", by=by, where={}, window=window)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (endpoint, model, version), count in sorted(counts.items()):
        if count > 0 and endpoint and version:
            found[endpoint].append((model, version))
    return dict(found)


def measure_endpoint(
    source: MetricsSource, endpoint: str, versions: Versions, window: Window
) -> list[DriftReading]:
    """Measure and keep the versions' drift over the window; versions without a profile are left out.

    Four queries whatever the number of versions and columns. A window that was measured is measured anew.
    Raises MetricsUnavailable.
    """
    known = profiles(versions)
    if not known:
        return []
    refs = sorted({version for _, version in known})
    live = {
        (side, version, name): counts
        for side in SIDES
        for (version, name), counts in columns_of(source, side, window, endpoint, refs).items()
    }
    rows = []
    for (model, version), profile in sorted(known.items()):
        items = [(side, item) for side in SIDES for item in profile.get(side) or ()]
        columns = ranked(
            measure(item, side, live.get((side, version, item["name"])), len(items)) for side, item in items
        )
        rows.append(_row(endpoint, model, version, window, columns))
    DriftReading.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["endpoint", "version", "at"],
        update_fields=["state", "drifted", "columns", "start", "model"],
    )
    return rows


def schedule(
    source: MetricsSource, now: float, hand_out: Callable[[str, Versions, Window], object], limit: int
) -> int:
    """Hands out the endpoints whose windows are not measured yet, at most `limit`; how many.

    The newest window first, then up to CATCH_UP older ones that an outage left out. A window is done when
    each of its versions with a profile has a reading, so what was handed out and lost is handed out again.
    Raises MetricsUnavailable when the newest window cannot be read.
    """
    chore, _ = Chore.objects.get_or_create(name=CHORE)
    windows = _open_windows(chore.done_until, now)
    unfinished, handed = set(), 0
    for window in windows:
        try:
            missing = unmeasured(source, window)
        except MetricsGone:
            # The source works and knows nothing of that time: it never will.
            continue
        except MetricsUnavailable:
            if window is windows[0]:
                raise
            continue
        if missing:
            unfinished.add(window)
        for endpoint, versions in list(missing.items())[: limit - handed]:
            hand_out(endpoint, versions, window)
            handed += 1
    done = [window for window in windows if all(window.end < other.end for other in unfinished)]
    if done:
        Chore.objects.filter(pk=chore.pk).update(done_until=done[0].end.timestamp())
    return handed


def unmeasured(source: MetricsSource, window: Window) -> dict[str, list[tuple[str, str]]]:
    """Endpoint → the versions with a profile that answered in the window and have no reading of it."""
    live = live_versions(source, window)
    known = profiles(pair for versions in live.values() for pair in versions)
    read = DriftReading.objects.filter(at=window.end.timestamp())
    have = set(read.values_list("endpoint", "model", "version"))
    found = {
        endpoint: [pair for pair in versions if pair in known and (endpoint, *pair) not in have]
        for endpoint, versions in live.items()
    }
    return {endpoint: versions for endpoint, versions in found.items() if versions}


def measure_all(source: MetricsSource, now: float) -> int:
    """Measure here and now whatever is not measured yet; how many endpoints. Raises MetricsUnavailable."""
    return schedule(source, now, lambda *what: measure_endpoint(source, *what), limit=10**9)


def _open_windows(done_until: float, now: float) -> list[Window]:
    """The windows since `done_until`, the newest first; only the newest when none was ever done."""
    newest = window_before(now)
    length = newest.end - newest.start
    missed = round((newest.end.timestamp() - done_until) / length.total_seconds())
    count = 1 if not done_until else max(0, min(missed, CATCH_UP))
    return [Window(newest.start - index * length, newest.end - index * length) for index in range(count)]


def trim(now: float) -> int:
    """Delete readings older than they are kept, in short steps; returns how many."""
    old = DriftReading.objects.filter(at__lt=now - settings.SLIPWAY_DRIFT_KEEP_DAYS * 86_400).order_by("at")
    return delete_in_steps(old)


def latest(endpoint: str) -> list[DriftReading]:
    """The newest reading of each version that was measured last, newest version first."""
    rows = DriftReading.objects.filter(endpoint=endpoint)
    newest = rows.aggregate(at=Max("at"))["at"]
    return [] if newest is None else list(rows.filter(at=newest).order_by("-version"))


def history(endpoint: str, version: str, window: Window) -> list[DriftReading]:
    """A version's readings of the window, oldest first."""
    start, end = window.start.timestamp(), window.end.timestamp()
    return list(
        DriftReading.objects.filter(endpoint=endpoint, version=version, at__gt=start, at__lte=end).order_by(
            "at"
        )
    )


def _row(endpoint: str, model: str, version: str, window: Window, columns: list[ColumnDrift]) -> DriftReading:
    return DriftReading(
        endpoint=endpoint, model=model, version=version, start=window.start.timestamp(),
        at=window.end.timestamp(), state=state_of(columns),
        drifted=sum(column.drifted for column in columns), columns=[column.to_dict() for column in columns],
    )  # fmt: skip
