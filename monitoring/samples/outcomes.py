"""What came of each version's predictions: labels joined by request id, or by the version they name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from monitoring.domain.arrays import floats
from monitoring.domain.judge.means import Moments
from monitoring.domain.window import Window
from monitoring.models import Label, Prediction


def outcomes_of(
    endpoint: str, name: str, versions: Sequence[str], window: Window, *, mirrored: bool = False
) -> dict[str, Moments]:
    """Per version: how many labels `name`, their mean and their variance; an entry for every version.

    Counted is each prediction of the window that has a numeric label. Copies whose answer no user saw
    changed no outcome and are left out unless `mirrored`. A label that names its version also counts
    without a sampled prediction, at its own time.
    """
    values: dict[str, list[float]] = defaultdict(list)
    rows: Iterable[tuple[str, float | None]] = chain(
        labelled(endpoint, name, versions, window, mirrored=mirrored).values_list("version", "number"),
        _without_prediction(endpoint, name, versions, window).values_list("version", "number"),
    )
    for version, number in rows:
        # Asked for in SQL, the subquery of the number would run twice per row.
        if number is not None:
            values[version].append(number)
    return {version: Moments.of(floats(values[version])) for version in versions}


def labelled(
    endpoint: str, name: str, versions: Sequence[str], window: Window, *, mirrored: bool = True
) -> QuerySet[Any]:
    """The window's predictions with their label's `number` and `text`, both NULL where it has none so far."""
    rows = Prediction.objects.filter(
        endpoint=endpoint,
        version__in=versions,
        at__gt=window.start.timestamp(),
        at__lte=window.end.timestamp(),
    )
    if not mirrored:
        rows = rows.filter(mirrored=False)
    # A label for this version goes before one for all.
    label = Label.objects.filter(
        endpoint=OuterRef("endpoint"), request_id=OuterRef("request_id"), name=name
    ).filter(version__in=["", OuterRef("version")])
    newest = label.order_by("-version")
    return rows.annotate(
        number=Subquery(newest.values("number")[:1]), text=Subquery(newest.values("text")[:1])
    )


def _without_prediction(endpoint: str, name: str, versions: Sequence[str], window: Window) -> QuerySet[Label]:
    same = Prediction.objects.filter(
        endpoint=OuterRef("endpoint"), request_id=OuterRef("request_id"), version=OuterRef("version")
    )
    return Label.objects.filter(
        ~Exists(same),
        endpoint=endpoint,
        name=name,
        version__in=versions,
        at__gt=window.start.timestamp(),
        at__lte=window.end.timestamp(),
        number__isnull=False,
    )
