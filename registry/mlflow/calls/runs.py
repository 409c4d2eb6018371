"""Runs: begun, read, searched, ended."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, FloatField, OuterRef, Q, Subquery, Value

from registry.domain import foreign
from registry.mlflow.call import Call
from registry.mlflow.calls.experiments import experiment_of, view
from registry.mlflow.documents import run_document, run_info
from registry.mlflow.errors import ProtocolError
from registry.mlflow.search.expressions import JsonText, compared, in_document
from registry.mlflow.search.ordering import sorts_of
from registry.mlflow.search.paging import Found, page
from registry.mlflow.search.vocabulary import Vocabulary, number_condition, text_condition
from registry.models import Experiment, Run, RunDataset, Series
from registry.services import tracking
from registry.services.tracking.runs import STATUSES

_CONTEXT = "mlflow.data.context"


def _metric(key: str, op: str, value: Any) -> Q:
    op, number = number_condition(value, op, key)
    rows = Series.objects.filter(compared("value", op, number), run=OuterRef("pk"), key=key, nan=False)
    return Q(Exists(rows))


def _dataset(key: str, op: str, value: Any) -> Q:
    op, text = text_condition(value, op, key)
    rows = RunDataset.objects.filter(run=OuterRef("pk"))
    if key == "context":
        each = text if isinstance(text, tuple) else (text,)
        plain = {"IN": "=", "NOT IN": "!="}.get(op, op)
        conditions = [in_document("tags", _CONTEXT, plain, item) for item in each]
        combined = conditions[0]
        for condition in conditions[1:]:
            combined = combined | condition if op == "IN" else combined & condition
        return Q(Exists(rows.filter(combined)))
    if key not in {"name", "digest"}:
        raise ProtocolError("INVALID_PARAMETER_VALUE", f"Invalid dataset key {ascii(key[:80])} specified.")
    return Q(Exists(rows.filter(compared(key, op, text))))


_TEXTS = {"run_id": "uid", "run_name": "name", "status": "status", "user_id": "user"}
_NUMBERS = {"start_time": "started_ms", "end_time": "ended_ms"}
_VOCABULARY = Vocabulary(
    texts=_TEXTS | dict.fromkeys(("run name", "Run name", "Run Name"), "name"),
    numbers=_NUMBERS | dict.fromkeys(("created", "Created"), "started_ms"),
    lists=frozenset({"run_id"}),
    documents={"tag": "tags", "param": "params"},
    special={"metric": _metric, "dataset": _dataset},
    nulls=True,
)
_ORDERS = _TEXTS | _NUMBERS | dict.fromkeys(("created", "Created"), "started_ms") | {"run name": "name"}


def create(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    experiment = experiment_of(arguments.text("experiment_id") or "0")
    tags = foreign.tags_of(arguments.pairs("tags"), maximum=8000)
    run = tracking.create_run(
        experiment=experiment,
        actor=call.actor,
        name=arguments.text("run_name"),
        user=arguments.text("user_id"),
        started_ms=arguments.whole("start_time"),
        tags=tags,
    )
    return {"run": run_document(run)}


def get(call: Call) -> dict[str, Any]:
    uid = run_id(call)
    rows = Run.objects.select_related("experiment").prefetch_related("series", "datasets")
    run = rows.filter(uid=uid).first()
    if run is None:
        raise missing(uid)
    return {"run": run_document(run)}


def update(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    run = tracking.update_run(
        run=run_named(call),
        actor=call.actor,
        status=_status(call),
        ended_ms=arguments.whole("end_time"),
        name=arguments.text("run_name"),
    )
    run.experiment = Experiment.objects.get(pk=run.experiment_id)
    return {"run_info": run_info(run)}


def delete(call: Call) -> dict[str, Any]:
    tracking.delete_run(run=run_named(call), actor=call.actor)
    return {}


def restore(call: Call) -> dict[str, Any]:
    tracking.delete_run(run=run_named(call), actor=call.actor, restore=True)
    return {}


def search(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    ids = [int(text) for text in arguments.texts("experiment_ids") if text.isdecimal() and len(text) <= 18]
    if not arguments.texts("experiment_ids"):
        raise ProtocolError(
            "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'experiment_ids'."
        )
    condition = _VOCABULARY.filter(arguments.text("filter"))
    rows = Run.objects.filter(condition, experiment__in=ids, **view(arguments.text("run_view_type")))
    sorts = sorts_of(
        arguments.texts("order_by"),
        _ORDERS,
        ties=[("started_ms", True), ("uid", False)],
        extra=_sort_by,
        nullable={"ended_ms": 0},
    )
    limit, token = arguments.limit(1000, 50_000), arguments.text("page_token")
    found = page(rows, sorts, ("pk",), limit=limit, token=token)
    answer: dict[str, Any] = {"runs": _documents(found)} if found.rows else {}
    return answer | ({"next_page_token": found.token} if found.token else {})


def _documents(found: Found) -> list[dict[str, Any]]:
    rows = Run.objects.select_related("experiment").prefetch_related("series", "datasets")
    by_id = rows.in_bulk([row["pk"] for row in found.rows])
    return [run_document(by_id[row["pk"]]) for row in found.rows if row["pk"] in by_id]


def _sort_by(kind: str, key: str) -> tuple[Any, Any]:
    if kind == "metric":
        series = Series.objects.filter(run=OuterRef("pk"), key=key, nan=False)
        return Subquery(series.values("value")[:1], output_field=FloatField()), Value(0.0)
    return JsonText("params" if kind == "param" else "tags", key), Value("")


def run_id(call: Call) -> str:
    """The run's id under either of its names; it must be there."""
    return call.arguments.text("run_id") or call.arguments.text("run_uuid") or call.arguments.need("run_id")


def run_named(call: Call) -> Run:
    """The run that the call names, deleted ones included, or the protocol's error."""
    uid = run_id(call)
    run = Run.objects.filter(uid=uid).first()
    if run is None:
        raise missing(uid)
    return run


def missing(uid: str) -> ProtocolError:
    """There is no such run."""
    return ProtocolError("RESOURCE_DOES_NOT_EXIST", f"Run with id={uid} not found")


def _status(call: Call) -> str | None:
    if not call.arguments.has("status"):
        return None
    value = call.arguments.value("status")
    # The protocol's enum is sent by name, by some clients by number.
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= len(STATUSES):
        return STATUSES[value - 1]
    return call.arguments.text("status")
