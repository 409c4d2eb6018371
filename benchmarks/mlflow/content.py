# ruff: noqa: E501
"""Models and versions for MLflow's server, as SQL; `prepare` makes the same for Slipway."""

from __future__ import annotations

_MS = "1700000000000"


def mlflow(models: int, versions: int, large: int) -> list[str]:
    """`models` of `versions` each with three tags, and one named `large` with an alias on version 1."""
    model = "INSERT INTO registered_models (name, creation_time, last_updated_time, description, workspace) "
    version = (
        "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage, "
        "source, run_id, status, workspace) "
    )
    row = f"{_MS} + n, {_MS} + n, '', 'None', 's3://bucket/' || n, 'run', 'READY', 'default'"
    tag = "INSERT INTO model_version_tags (name, version, key, value, workspace) "
    return [
        f"{model} SELECT 'model-' || m, {_MS} + m, {_MS} + m, '', 'default' FROM generate_series(1, {models}) m",
        f"{model} VALUES ('large', {_MS}, {_MS}, '', 'default')",
        f"{version} SELECT 'model-' || m, n, {row} FROM generate_series(1, {models}) m, generate_series(1, {versions}) n",
        f"{version} SELECT 'large', n, {row} FROM generate_series(1, {large}) n",
        f"{tag} SELECT name, version, 'key' || k, 'value' || version % 10, 'default' FROM model_versions, generate_series(1, 3) k",
        "INSERT INTO registered_model_tags (name, key, value, workspace) "
        "SELECT name, 'key' || k, 'value', 'default' FROM registered_models, generate_series(1, 3) k",
        "INSERT INTO registered_model_aliases (name, alias, version, workspace) VALUES ('large', 'champion', 1, 'default')",
    ]
