"""Taking in sampled predictions and labels: in bulk, each once, within the configured bounds."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from django.db import transaction

from monitoring.domain.samples import LabelRecord, PredictionRecord
from monitoring.models import Label, Prediction
from monitoring.samples.retention import keep_seconds, require_room
from registry.errors import DomainError, Invalid

MAX_RECORDS = 1_000
Record = TypeVar("Record", PredictionRecord, LabelRecord)


@dataclass(frozen=True, slots=True)
class Refused:
    """A record of a batch that was not kept, and why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch of predictions."""

    accepted: int
    duplicates: int
    refused: tuple[Refused, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"refused": [asdict(item) for item in self.refused]}


@dataclass(frozen=True, slots=True)
class TakenLabels:
    """What became of a batch of labels: `accepted` are new, `changed` replaced another value, `duplicates`
    said what was known. Of the first two, `waiting` have no prediction yet."""

    accepted: int
    changed: int
    duplicates: int
    waiting: int
    refused: tuple[Refused, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"refused": [asdict(item) for item in self.refused]}


def take_predictions(
    documents: Sequence[object], now: float, endpoints: Container[str] | None = None
) -> Taken:
    """Keep a batch; a record with the key (endpoint, version, request id) of a kept one is a duplicate and
    ignored. `endpoints` are those that the sender may speak for, None for all. Raises Overloaded, keeping
    nothing, when more comes than the bounds allow."""
    require_room(Prediction, now)
    records, refused = _parsed(PredictionRecord.parse, documents, now, endpoints)
    unique: dict[Any, PredictionRecord] = {}
    for record in records:
        unique.setdefault(record.key, record)
    known = _known_predictions(unique.values())
    fresh = [record for key, record in unique.items() if key not in known]
    rows = [
        Prediction(
            endpoint=record.endpoint, version=record.version, request_id=record.request_id, at=record.at,
            received=now, outputs=dict(record.outputs), mirrored=record.mirrored,
            segment=dict(record.segment), trace_id=record.trace_id,
        )
        for record in fresh
    ]  # fmt: skip
    # Two senders with the same record at the same moment: the second insert is ignored.
    Prediction.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    return Taken(len(rows), len(records) - len(rows), tuple(refused))


def take_labels(
    documents: Sequence[object], now: float, endpoints: Container[str] | None = None
) -> TakenLabels:
    """Keep a batch; a label sent again counts once, and with another value replaces the earlier one.

    Labels of requests that no prediction is known of are kept as long as predictions are, and join when one
    arrives. Raises Overloaded, keeping nothing, when more comes than the bounds allow.
    """
    require_room(Label, now)
    records, refused = _parsed(LabelRecord.parse, documents, now, endpoints)
    unique = {record.key: record for record in records}
    with transaction.atomic():
        known = _known_labels(unique.values())
        changed = [record for key, record in unique.items() if known.get(key, record.value) != record.value]
        fresh = [record for key, record in unique.items() if key not in known]
        rows = [
            Label(
                endpoint=record.endpoint, request_id=record.request_id, name=record.name,
                version=record.version, number=record.number, text=record.text, at=record.at, received=now,
            )
            for record in (*fresh, *changed)
        ]  # fmt: skip
        Label.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["endpoint", "request_id", "name", "version"],
            update_fields=["number", "text", "at", "received"],
            batch_size=500,
        )
    written = [*fresh, *changed]
    answered = _answered(written)
    return TakenLabels(
        accepted=len(fresh),
        changed=len(changed),
        duplicates=len(records) - len(written),
        waiting=sum((record.endpoint, record.request_id) not in answered for record in written),
        refused=tuple(refused),
    )


def _parsed(
    parse: Callable[[object, float, float], Record],
    documents: Sequence[object],
    now: float,
    endpoints: Container[str] | None,
) -> tuple[list[Record], list[Refused]]:
    records, refused, oldest = [], [], now - keep_seconds()
    for index, document in enumerate(documents):
        try:
            record = parse(document, now, oldest)
            if endpoints is not None and record.endpoint not in endpoints:
                raise Invalid("This token may not send records of this endpoint.", field="endpoint")
            records.append(record)
        except DomainError as error:
            refused.append(Refused(index, str(error)))
    return records, refused


def _known_predictions(records: Any) -> set[tuple[str, str, str]]:
    endpoints, ids = _requests(records)
    rows = Prediction.objects.filter(endpoint__in=endpoints, request_id__in=ids)
    return set(rows.values_list("endpoint", "request_id", "version"))


def _known_labels(records: Any) -> dict[tuple[str, str, str, str], float | str]:
    endpoints, ids = _requests(records)
    rows = Label.objects.filter(endpoint__in=endpoints, request_id__in=ids)
    found = rows.values_list("endpoint", "request_id", "name", "version", "number", "text")
    return {
        (endpoint, request_id, name, version): text if number is None else number
        for endpoint, request_id, name, version, number, text in found
    }


def _answered(records: Any) -> set[tuple[str, str]]:
    endpoints, ids = _requests(records)
    rows = Prediction.objects.filter(endpoint__in=endpoints, request_id__in=ids)
    return set(rows.values_list("endpoint", "request_id"))


def _requests(records: Any) -> tuple[list[str], list[str]]:
    items = list(records)
    return sorted({record.endpoint for record in items}), sorted({record.request_id for record in items})
