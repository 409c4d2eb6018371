"""What runs log: metrics, parameters, tags, data sets, models."""

from __future__ import annotations

from math import isfinite
from operator import itemgetter
from typing import Any

from django.db.models import F

from registry.domain import foreign
from registry.errors import Invalid
from registry.mlflow.arguments import Arguments, real_number, whole_number
from registry.mlflow.call import Call
from registry.mlflow.calls.runs import missing, run_id, run_named
from registry.mlflow.documents import number
from registry.mlflow.errors import ProtocolError
from registry.mlflow.search.bare import bare_page
from registry.mlflow.search.paging import Sort
from registry.models import Point, Run
from registry.services import tracking
from registry.services.tracking import Reading

MAX_BATCH, MAX_BODY = 1000, 1_000_000
MAX_PARAMS = 100
_HISTORY = (Sort("timestamp"), Sort("step"), Sort("value"), Sort("nan"), Sort("id"))
MAX_HISTORY = 25_000
_LARGEST = 2**63 - 1
_plain = itemgetter("key", "value", "timestamp", "step")


def log_metric(call: Call) -> dict[str, Any]:
    tracking.log_points(uid=run_id(call), readings=[_reading(call.arguments)])
    return {}


def log_parameter(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    run_id(call)
    params = [(arguments.need("key"), arguments.text("value", maximum=1_000_000))]
    tracking.log_params(run=run_named(call), params=params)
    return {}


def log_batch(call: Call) -> dict[str, Any]:
    size = len(call.request.body)
    if size > MAX_BODY:
        raise Invalid(
            f"Batched logging API requests must be at most {MAX_BODY} bytes, got a request of size {size}."
        )
    arguments = call.arguments
    uid = run_id(call)
    metrics = arguments.items("metrics")
    params, tags = arguments.pairs("params"), arguments.pairs("tags")
    _check_batch(len(metrics), len(params), len(tags))
    # Everything is read before anything is written.
    readings = _readings(metrics)
    if params or tags or not readings:
        run = run_named(call)
        if params:
            tracking.log_params(run=run, params=params)
        if tags:
            tracking.tag_run(run=run, tags=dict(tags))
    tracking.log_points(uid=uid, readings=readings)
    return {}


def set_tag(call: Call) -> dict[str, Any]:
    tracking.tag_run(run=run_named(call), tags={call.arguments.need("key"): call.arguments.text("value")})
    return {}


def delete_tag(call: Call) -> dict[str, Any]:
    tracking.tag_run(run=run_named(call), tags={call.arguments.need("key"): None})
    return {}


def log_inputs(call: Call) -> dict[str, Any]:
    datasets = [_dataset(item, i) for i, item in enumerate(call.arguments.objects("datasets", 1000))]
    models = [item.need("model_id") for item in call.arguments.objects("models", 1000)]
    run = run_named(call)
    tracking.log_datasets(run=run, datasets=datasets)
    if models:
        tracking.log_models(run=run, inputs=models)
    return {}


def log_outputs(call: Call) -> dict[str, Any]:
    models = [
        (item.need("model_id"), item.whole("step", 0) or 0) for item in call.arguments.objects("models", 1000)
    ]
    tracking.log_models(run=run_named(call), outputs=models)
    return {}


def history(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    uid, key = run_id(call), arguments.need("metric_key")
    limit = arguments.limit(1_000_000, 1_000_000) if arguments.has("max_results") else 1_000_000
    found = bare_page(
        lambda: Point.objects.filter(series__run__uid=uid, series__key=key),
        _HISTORY,
        ("value", "nan", "timestamp", "step"),
        limit=limit,
        token=arguments.text("page_token"),
        key=("history", uid, key),
    )
    if not found.rows and not Run.objects.filter(uid=uid).exists():
        raise missing(uid)
    answer: dict[str, Any] = {}
    if found.rows:
        answer["metrics"] = [
            {"key": key, "value": number(value, nan), "timestamp": timestamp, "step": step}
            for value, nan, timestamp, step, *_ in found.rows
        ]
    return answer | ({"next_page_token": found.token} if found.token else {})


def history_bulk(call: Call) -> dict[str, Any]:
    """Histories of one metric of several runs, as the comparison of runs asks for them."""
    arguments = call.arguments
    uids, key = arguments.texts("run_id"), arguments.text("metric_key")
    if not uids:
        raise ProtocolError(
            "INVALID_PARAMETER_VALUE", "GetMetricHistoryBulk request must specify at least one run_id."
        )
    if len(uids) > 100:
        raise ProtocolError(
            "INVALID_PARAMETER_VALUE",
            "GetMetricHistoryBulk request cannot specify more than 100 run_ids. Received "
            f"{len(uids)} run_ids.",
        )
    if not key:
        raise ProtocolError(
            "INVALID_PARAMETER_VALUE", "GetMetricHistoryBulk request must specify a metric_key."
        )
    rows = Point.objects.filter(series__run__uid__in=uids, series__key=key)
    limit = arguments.limit(MAX_HISTORY, MAX_HISTORY)
    ordered = rows.order_by("series__run__uid", "timestamp", "step", "value").annotate(
        uid=F("series__run__uid")
    )
    found = ordered.values("uid", "value", "nan", "timestamp", "step")[:limit]
    return {
        "metrics": [
            {
                "key": key,
                "value": number(row["value"], row["nan"]),
                "timestamp": row["timestamp"],
                "step": row["step"],
                "run_id": row["uid"],
            }
            for row in found
        ]
    }


def _readings(items: list[Any]) -> list[Reading]:
    """Every reading of a batch; one of plain numbers whose key was checked before is taken as it is."""
    found: list[Reading] = []
    checked: set[str] = set()
    for at, item in enumerate(items):
        try:
            key, value, timestamp, step = _plain(item)
            plain = key in checked and len(item) == 4
        except (KeyError, TypeError):
            plain = False
        if (
            plain
            and type(value) is float
            and isfinite(value)
            and type(timestamp) is type(step) is int
            and -_LARGEST <= timestamp <= _LARGEST
            and -_LARGEST <= step <= _LARGEST
        ):
            found.append(Reading(key, value, False, timestamp, step))
        else:
            found.append(_reading(Arguments.object("metrics", item), f"metrics[{at}]."))
            checked.add(found[-1].key)
    return found


def _reading(item: Arguments, where: str = "") -> Reading:
    key = item.text("key") or _absent(f"{where}key")
    value, nan = real_number(f"{where}value", item.value("value", where))
    timestamp = whole_number(f"{where}timestamp", item.value("timestamp", where))
    return Reading(
        foreign.key_name(key, field=f"{where}key", what="metric"),
        value,
        nan,
        timestamp,
        item.whole("step", 0) or 0,
        item.text("model_id", maximum=64),
        item.text("dataset_name", maximum=500),
        item.text("dataset_digest", maximum=36),
    )


def _dataset(item: Arguments, number: int) -> dict[str, Any]:
    dataset, where = item.part("dataset"), f"datasets[{number}].dataset"
    texts = {
        "name": 500,
        "digest": 36,
        "source_type": 36,
        "source": 65_535,
        "schema": 1_048_575,
        "profile": 16_777_215,
    }
    said = {name: dataset.text(name, maximum=limit) for name, limit in texts.items()}
    for name in ("name", "digest", "source_type", "source"):
        if not said[name]:
            _absent(f"{where}.{name}")
    return said | {"tags": foreign.tags_of(item.pairs("tags"), maximum=5000)}


def _check_batch(metrics: int, params: int, tags: int) -> None:
    for count, maximum, what in (
        (metrics, MAX_BATCH, "metrics"),
        (params, MAX_PARAMS, "params"),
        (tags, MAX_PARAMS, "tags"),
    ):
        if count > maximum:
            raise Invalid(
                f"A batch logging request can contain at most {maximum} {what}. Got {count} {what}. Please "
                "split up your request and try again.",
                field=what,
            )
    if metrics + params + tags > MAX_BATCH:
        raise Invalid(
            f"A batch logging request can contain at most {MAX_BATCH} metrics, params, and tags in total. "
            f"Got {metrics + params + tags}. Please split up your request and try again."
        )


def _absent(name: str) -> Any:
    raise Invalid(
        f"Missing value for required parameter '{name}'. See the API docs for more information about request "
        "parameters.",
        field=name,
    )
