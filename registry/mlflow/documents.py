"""Rows as the protocol's documents: snake_case, times in milliseconds, what is not set left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from registry.lookups import ModelRow
from registry.models import Experiment, LoggedMetric, LoggedModel, Run, Series, TrackedFile
from registry.services.sources import experiment_location, logged_model_location, run_location


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags and parameters as the protocol lists them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def compact(document: dict[str, Any]) -> dict[str, Any]:
    """Without what is not set: None and empty lists are left out."""
    return {key: value for key, value in document.items() if value is not None and value != []}


def version_document(row: Mapping[str, Any], *, aliases: bool = True) -> dict[str, Any]:
    """A model version from a row of `lookups`."""
    return version_of(
        row["name"], row["number"], row["created_ms"], row["updated_ms"], row["stage"], row["notes"],
        row["source"], row["training_run"], row["run_link"], row["logged_model"], row["state"],
        row["problem"], row["tags"], row.get("aliases") if aliases else None,
    )  # fmt: skip


def version_of(
    name: str,
    number: int,
    created_ms: int,
    updated_ms: int,
    stage: str,
    notes: str,
    source: str,
    training_run: str,
    run_link: str,
    logged_model: str,
    state: str,
    problem: Mapping[str, Any] | None,
    tags: Mapping[str, str],
    aliases: Sequence[str] | None = None,
) -> dict[str, Any]:
    """A model version from its columns, times in milliseconds: pages of thousands are made of them."""
    document: dict[str, Any] = {
        "name": name,
        "version": str(number),
        "creation_timestamp": created_ms,
        "last_updated_timestamp": updated_ms,
        "current_stage": stage,
        "description": notes,
        "source": source,
        "run_id": training_run,
        "run_link": run_link,
        "status": "READY",
    }
    if state != "ready":
        # To MLflow's clients it is registered in any case; whether it can be rolled out is said beside.
        document["status_message"] = (problem or {}).get("message") or f"It is {state}."
    if logged_model:
        document["model_id"] = logged_model
    if tags:
        document["tags"] = pairs(tags)
    if aliases:
        document["aliases"] = aliases
    return document


def model_document(row: ModelRow, latest: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A registered model with the newest version of each stage."""
    document: dict[str, Any] = {
        "name": row.name,
        "creation_timestamp": row.created_ms,
        "last_updated_timestamp": row.updated_ms,
    }
    if row.description:
        document["description"] = row.description
    if latest:
        document["latest_versions"] = [version_document(version, aliases=False) for version in latest]
    if row.tags:
        document["tags"] = pairs(row.tags)
    if row.aliases and row.aliases != "[]":
        document["aliases"] = orjson.Fragment(row.aliases)
    return document


def experiment_document(experiment: Experiment) -> dict[str, Any]:
    """An experiment."""
    return compact(
        {
            "experiment_id": str(experiment.pk),
            "name": experiment.name,
            "artifact_location": experiment_location(experiment),
            "lifecycle_stage": _stage(experiment.deleted),
            "creation_time": experiment.created_ms,
            "last_update_time": experiment.updated_ms,
            "tags": pairs(experiment.tags),
        }
    )


def run_info(run: Run) -> dict[str, Any]:
    """What identifies a run."""
    return compact(
        {
            "run_id": run.uid,
            "run_uuid": run.uid,
            "run_name": run.name,
            "experiment_id": str(run.experiment_id),
            "user_id": run.user,
            "status": run.status,
            "start_time": run.started_ms,
            "end_time": run.ended_ms,
            "artifact_uri": run_location(run),
            "lifecycle_stage": _stage(run.deleted),
        }
    )


def run_document(run: Run) -> dict[str, Any]:
    """A run whose experiment, series and data sets are at hand."""
    data = {
        "metrics": [metric_document(series) for series in run.series.all()],
        "params": pairs(run.params),
        "tags": pairs(run.tags),
    }
    inputs = {
        "dataset_inputs": [_dataset(dataset) for dataset in run.datasets.all()],
        "model_inputs": run.model_inputs,
    }
    outputs = {"model_outputs": run.model_outputs}
    return {
        "info": run_info(run),
        "data": compact(data),
        "inputs": compact(inputs),
        "outputs": compact(outputs),
    }


def metric_document(series: Series | LoggedMetric) -> dict[str, Any]:
    """The last point of a metric."""
    return {
        "key": series.key,
        "value": number(series.value, series.nan),
        "timestamp": series.timestamp,
        "step": series.step,
    }


def number(value: float, nan: bool) -> float | str:
    """A double as JSON of the protocol: NaN and infinities are texts."""
    if nan:
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "Infinity" if value > 0 else "-Infinity"
    return value


def logged_model_document(model: LoggedModel) -> dict[str, Any]:
    """A logged model whose experiment and metrics are at hand."""
    info = {
        "model_id": model.uid,
        "experiment_id": str(model.experiment_id),
        "name": model.name,
        "creation_timestamp_ms": model.created_ms,
        "last_updated_timestamp_ms": model.updated_ms,
        "artifact_uri": logged_model_location(model),
        "status": model.status,
        "model_type": model.model_type or None,
        "source_run_id": model.source_run or None,
        "tags": pairs(model.tags),
    }
    metrics = [_logged_metric(model, metric) for metric in model.metrics.all()]
    return {"info": compact(info), "data": compact({"params": pairs(model.params), "metrics": metrics})}


def files_document(files: Iterable[TrackedFile], *, below: str = "") -> list[dict[str, Any]]:
    """A folder's content; `below` is put before the names."""
    return [
        {"path": f"{below}{file.name}", "is_dir": True}
        if file.is_folder
        else {"path": f"{below}{file.name}", "is_dir": False, "file_size": file.size}
        for file in files
    ]


def _logged_metric(model: LoggedModel, metric: LoggedMetric) -> dict[str, Any]:
    return compact(
        metric_document(metric)
        | {
            "model_id": model.uid,
            "run_id": metric.run.uid,
            "dataset_name": metric.dataset_name or None,
            "dataset_digest": metric.dataset_digest or None,
        }
    )


def _dataset(dataset: Any) -> dict[str, Any]:
    columns = ("name", "digest", "source_type", "source", "schema", "profile")
    said = {name: getattr(dataset, name) for name in columns}
    return compact(
        {"tags": pairs(dataset.tags), "dataset": {name: text for name, text in said.items() if text}}
    )


def _stage(deleted: bool) -> str:
    return "deleted" if deleted else "active"
