"""Logged models: what a run saved, before anybody registers it."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, FloatField, OuterRef, Q, QuerySet, Subquery, Value

from registry.domain import foreign
from registry.errors import Invalid
from registry.mlflow.arguments import Arguments
from registry.mlflow.call import Call
from registry.mlflow.calls.experiments import experiment_of
from registry.mlflow.documents import files_document, logged_model_document
from registry.mlflow.errors import ProtocolError
from registry.mlflow.search.expressions import compared
from registry.mlflow.search.ordering import name_of, nulls_last
from registry.mlflow.search.paging import Sort, page
from registry.mlflow.search.vocabulary import Vocabulary, number_condition
from registry.models import LoggedMetric, LoggedModel
from registry.services import files, sources, tracking
from registry.services.tracking.logged import STATUSES

_TIMES = {
    **dict.fromkeys(("creation_timestamp", "creation_time"), "created_ms"),
    **dict.fromkeys(("last_updated_timestamp", "last_updated_time"), "updated_ms"),
}
_TEXTS = {
    "name": "name",
    "model_id": "uid",
    "model_type": "model_type",
    "status": "status",
    "source_run_id": "source_run",
}


def create(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    model = tracking.create_logged_model(
        experiment=experiment_of(arguments.need("experiment_id")),
        actor=call.actor,
        name=arguments.text("name"),
        model_type=arguments.text("model_type"),
        source_run=arguments.text("source_run_id"),
        params=_params(arguments),
        tags=foreign.tags_of(arguments.pairs("tags"), maximum=8000),
    )
    return {"model": logged_model_document(model)}


def get(call: Call) -> dict[str, Any]:
    return {"model": logged_model_document(_named(call))}


def finish(call: Call) -> dict[str, Any]:
    value = call.arguments.value("status")
    status = STATUSES.get(value, "") if isinstance(value, int) else call.arguments.text("status")
    if status not in STATUSES.values():
        raise Invalid(f"Invalid model status: {ascii(str(value)[:60])}.", field="status")
    tracking.finish_logged_model(model=_named(call), status=status, actor=call.actor)
    return {"model": logged_model_document(_named(call))}


def delete(call: Call) -> dict[str, Any]:
    tracking.delete_logged_model(model=_named(call), actor=call.actor)
    return {}


def set_tags(call: Call) -> dict[str, Any]:
    tags = dict(call.arguments.pairs("tags"))
    tracking.tag_logged_model(model=_named(call), tags=tags)
    return {"model": logged_model_document(_named(call))}


def delete_tag(call: Call) -> dict[str, Any]:
    tracking.tag_logged_model(model=_named(call), tags={call.path["key"]: None})
    return {}


def log_params(call: Call) -> dict[str, Any]:
    tracking.log_model_params(model=_named(call), params=_params(call.arguments))
    return {}


def list_files(call: Call) -> dict[str, Any]:
    root = sources.logged_model_location(_named(call))
    below = foreign.artifact_path(call.arguments.text("artifact_directory_path"))
    folder = sources.folder_of(f"{root}/{below}".rstrip("/"))
    found = [] if folder is None else files.list_folder(folder)
    return {"root_uri": root, "files": files_document(found, below=f"{below}/" if below else "")}


def search(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    ids = [int(text) for text in arguments.texts("experiment_ids") if text.isdecimal() and len(text) <= 18]
    if not arguments.texts("experiment_ids"):
        raise ProtocolError(
            "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'experiment_ids'."
        )
    datasets = _datasets(arguments)
    condition = _vocabulary(datasets).filter(arguments.text("filter"))
    if datasets and "metric" not in arguments.text("filter"):
        condition &= Q(Exists(_metrics(datasets)))
    rows = LoggedModel.objects.filter(condition, experiment__in=ids, deleted=False)
    limit, token = arguments.limit(50, 50_000), arguments.text("page_token")
    found = page(rows, _sorts(arguments), ("pk",), limit=limit, token=token)
    by_id = _whole().in_bulk([row["pk"] for row in found.rows])
    documents = [logged_model_document(by_id[row["pk"]]) for row in found.rows if row["pk"] in by_id]
    answer: dict[str, Any] = {"models": documents} if documents else {}
    return answer | ({"next_page_token": found.token} if found.token else {})


def _vocabulary(datasets: list[dict[str, str]]) -> Vocabulary:
    def metric(key: str, op: str, value: Any) -> Q:
        op, number = number_condition(value, op, key)
        return Q(Exists(_metrics(datasets).filter(compared("value", op, number), key=key, nan=False)))

    return Vocabulary(
        texts=_TEXTS,
        numbers=_TIMES,
        lists=frozenset(_TEXTS),
        documents={"tag": "tags", "param": "params"},
        special={"metric": metric},
    )


def _metrics(datasets: list[dict[str, str]]) -> Any:
    rows = LoggedMetric.objects.filter(model=OuterRef("pk"))
    if not datasets:
        return rows
    any_of = Q()
    for dataset in datasets:
        any_of |= Q(**dataset)
    return rows.filter(any_of)


def _datasets(arguments: Arguments) -> list[dict[str, str]]:
    found = []
    for item in arguments.objects("datasets", 100):
        wanted = {"dataset_name": item.need("dataset_name"), "dataset_digest": item.text("dataset_digest")}
        found.append({name: text for name, text in wanted.items() if text})
    return found


def _sorts(arguments: Arguments) -> list[Sort]:
    sorts: list[Sort] = []
    for number, item in enumerate(arguments.objects("order_by", 20)):
        sorts += _sort(item, number)
    there = {sort.name for sort in sorts}
    if len(there) < len(sorts):
        raise Invalid("A key is there twice.", field="order_by")
    ties = (Sort("created_ms", True), Sort("uid"))
    return [*sorts, *(sort for sort in ties if sort.name not in there)]


def _sort(item: Arguments, number: int) -> list[Sort]:
    name, descending = item.need("field_name").strip(), item.has("ascending") and not item.flag("ascending")
    kind, dot, key = name.partition(".")
    if dot and kind == "metrics":
        dataset = {name: item.text(name) for name in ("dataset_name", "dataset_digest") if item.text(name)}
        if "dataset_digest" in dataset and "dataset_name" not in dataset:
            raise Invalid(
                "`dataset_digest` can only be specified if `dataset_name` is also specified.",
                field="order_by",
            )
        rows = LoggedMetric.objects.filter(model=OuterRef("pk"), key=key, nan=False, **dataset)
        last = rows.order_by("-timestamp", "-id").values("value")[:1]
        sort = name_of(number, key, *dataset.values())
        return nulls_last(sort, Subquery(last, output_field=FloatField()), Value(0.0), descending)
    if name not in _TIMES and name not in _TEXTS:
        raise Invalid(f"Invalid order by field name: {ascii(name[:80])}.", field="order_by")
    return [Sort(_TIMES.get(name) or _TEXTS[name], descending)]


def _named(call: Call) -> LoggedModel:
    uid = call.path["model_id"]
    model = _whole().filter(uid=uid, deleted=False).first()
    if model is None:
        raise ProtocolError("RESOURCE_DOES_NOT_EXIST", f"Logged model with ID '{uid}' not found.")
    return model


def _whole() -> QuerySet[LoggedModel]:
    return LoggedModel.objects.select_related("experiment").prefetch_related("metrics__run")


def _params(arguments: Arguments) -> dict[str, str]:
    return {
        foreign.key_name(key, field=f"params[{i}].key", what="param"): value[:6000]
        for i, (key, value) in enumerate(arguments.pairs("params", 10_000))
    }
