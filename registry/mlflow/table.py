"""Every call that is understood, with what it takes to be allowed to make it."""

from __future__ import annotations

import re
from typing import NamedTuple

from registry.domain.roles import Permission
from registry.mlflow.call import Route
from registry.mlflow.calls import (
    artifacts,
    experiments,
    info,
    logged_models,
    model_versions,
    registered_models,
    runs,
)
from registry.mlflow.calls import logging as logs

VIEW, REGISTER, ADMINISTER = Permission.VIEW, Permission.REGISTER, Permission.ADMINISTER
_ML, _FILES = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/"

ROUTES = (
    Route("POST", f"{_ML}registered-models/create", registered_models.create, REGISTER),
    Route("GET", f"{_ML}registered-models/get", registered_models.get, VIEW),
    Route("PATCH", f"{_ML}registered-models/update", registered_models.update, REGISTER),
    Route("POST", f"{_ML}registered-models/rename", registered_models.rename, ADMINISTER),
    Route("DELETE", f"{_ML}registered-models/delete", registered_models.delete, ADMINISTER),
    Route("GET", f"{_ML}registered-models/search", registered_models.search, VIEW),
    Route("GET POST", f"{_ML}registered-models/get-latest-versions", registered_models.latest_versions, VIEW),
    Route("POST", f"{_ML}registered-models/set-tag", registered_models.set_tag, REGISTER),
    Route("DELETE", f"{_ML}registered-models/delete-tag", registered_models.delete_tag, REGISTER),
    Route("POST", f"{_ML}registered-models/alias", registered_models.set_alias, REGISTER),
    Route("GET", f"{_ML}registered-models/alias", registered_models.get_by_alias, VIEW),
    Route("DELETE", f"{_ML}registered-models/alias", registered_models.delete_alias, REGISTER),
    Route("POST", f"{_ML}model-versions/create", model_versions.create, REGISTER),
    Route("GET", f"{_ML}model-versions/get", model_versions.get, VIEW),
    Route("PATCH", f"{_ML}model-versions/update", model_versions.update, REGISTER),
    Route("DELETE", f"{_ML}model-versions/delete", model_versions.delete, ADMINISTER),
    Route("POST", f"{_ML}model-versions/transition-stage", model_versions.transition_stage, REGISTER),
    Route("GET", f"{_ML}model-versions/search", model_versions.search, VIEW),
    Route("GET", f"{_ML}model-versions/get-download-uri", model_versions.download_uri, VIEW),
    Route("POST", f"{_ML}model-versions/set-tag", model_versions.set_tag, REGISTER),
    Route("DELETE", f"{_ML}model-versions/delete-tag", model_versions.delete_tag, REGISTER),
    Route("POST", f"{_ML}experiments/create", experiments.create, REGISTER),
    Route("GET", f"{_ML}experiments/get", experiments.get, VIEW),
    Route("GET", f"{_ML}experiments/get-by-name", experiments.get_by_name, VIEW),
    Route("GET POST", f"{_ML}experiments/search", experiments.search, VIEW),
    Route("POST", f"{_ML}experiments/update", experiments.update, REGISTER),
    Route("POST", f"{_ML}experiments/delete", experiments.delete, REGISTER),
    Route("POST", f"{_ML}experiments/restore", experiments.restore, REGISTER),
    Route("POST", f"{_ML}experiments/set-experiment-tag", experiments.set_tag, REGISTER),
    Route("POST", f"{_ML}experiments/delete-experiment-tag", experiments.delete_tag, REGISTER),
    Route("POST", f"{_ML}runs/create", runs.create, REGISTER),
    Route("GET", f"{_ML}runs/get", runs.get, VIEW),
    Route("POST", f"{_ML}runs/update", runs.update, REGISTER),
    Route("POST", f"{_ML}runs/delete", runs.delete, REGISTER),
    Route("POST", f"{_ML}runs/restore", runs.restore, REGISTER),
    Route("POST", f"{_ML}runs/search", runs.search, VIEW),
    Route("POST", f"{_ML}runs/log-metric", logs.log_metric, REGISTER),
    Route("POST", f"{_ML}runs/log-parameter", logs.log_parameter, REGISTER),
    Route("POST", f"{_ML}runs/log-batch", logs.log_batch, REGISTER),
    Route("POST", f"{_ML}runs/set-tag", logs.set_tag, REGISTER),
    Route("POST", f"{_ML}runs/delete-tag", logs.delete_tag, REGISTER),
    Route("POST", f"{_ML}runs/log-inputs", logs.log_inputs, REGISTER),
    Route("POST", f"{_ML}runs/outputs", logs.log_outputs, REGISTER),
    Route("GET", f"{_ML}metrics/get-history", logs.history, VIEW),
    Route("GET", f"{_ML}metrics/get-history-bulk", logs.history_bulk, VIEW),
    Route("GET", f"{_ML}artifacts/list", artifacts.of_run, VIEW),
    Route("POST", f"{_ML}logged-models", logged_models.create, REGISTER),
    Route("POST", f"{_ML}logged-models/search", logged_models.search, VIEW),
    Route("GET", f"{_ML}logged-models/{{model_id}}", logged_models.get, VIEW),
    Route("PATCH", f"{_ML}logged-models/{{model_id}}", logged_models.finish, REGISTER),
    Route("DELETE", f"{_ML}logged-models/{{model_id}}", logged_models.delete, REGISTER),
    Route("PATCH", f"{_ML}logged-models/{{model_id}}/tags", logged_models.set_tags, REGISTER),
    Route("DELETE", f"{_ML}logged-models/{{model_id}}/tags/{{key}}", logged_models.delete_tag, REGISTER),
    Route("POST", f"{_ML}logged-models/{{model_id}}/params", logged_models.log_params, REGISTER),
    Route("GET", f"{_ML}logged-models/{{model_id}}/artifacts/directories", logged_models.list_files, VIEW),
    Route("GET", f"{_FILES}artifacts", artifacts.listing, VIEW),
    Route("PUT", f"{_FILES}artifacts/{{path}}", artifacts.upload, REGISTER, raw=True),
    Route("GET", f"{_FILES}artifacts/{{path}}", artifacts.download, VIEW),
    Route("DELETE", f"{_FILES}artifacts/{{path}}", artifacts.delete, ADMINISTER, raw=True),
    Route("POST", f"{_FILES}mpu/{{path}}", artifacts.elsewhere, REGISTER, raw=True),
    Route("GET", f"{_FILES}presigned/{{path}}", artifacts.elsewhere, VIEW, raw=True),
    Route("GET", "/api/3.0/mlflow/server-info", info.server_info, None),
    Route("GET", "/version", info.version, None),
    Route("GET", "/health", info.health, None),
)
PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/2.0/", "/ajax-api/3.0/")


class Match(NamedTuple):
    """The routes of a path by method, and what its parts say."""

    methods: dict[str, Route]
    parts: dict[str, str]


def concerns(path: str) -> bool:
    """Whether a path belongs to the protocol."""
    return path.startswith(PREFIXES) or path in _FIXED


def find(path: str) -> Match | None:
    """The routes of a path, or None; `/ajax-api/…` means the same as `/api/…`."""
    if path.startswith("/ajax-api/"):
        path = path.replace("/ajax-api/", "/api/", 1)
    if path in _FIXED:
        return Match(_FIXED[path], {})
    for pattern, methods in _OPEN:
        found = pattern.fullmatch(path)
        if found:
            return Match(methods, found.groupdict())
    return None


def _pattern(path: str) -> re.Pattern[str]:
    text = re.escape(path).replace(r"\{path\}", r"(?P<path>.+)")
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", text), re.DOTALL)


def _by_path(open_ones: bool) -> dict[str, dict[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        if ("{" in route.path) == open_ones:
            table.setdefault(route.path, {}).update(dict.fromkeys(route.methods.split(), route))
    return table


_FIXED = _by_path(open_ones=False)
_OPEN = [(_pattern(path), methods) for path, methods in _by_path(open_ones=True).items()]
