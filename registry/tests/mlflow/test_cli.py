"""The `mlflow` command and the client that is installed as `mlflow-skinny`, against Slipway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from registry.tests import onnx_files

SKINNY = Path(__file__).with_name("skinny_client.py")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def run(tracking_uri):
    """`run("experiments", "search")`: what the command prints; it must succeed."""
    import mlflow
    from mlflow.cli import cli

    def command(*words: str) -> str:
        done = CliRunner().invoke(cli, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    yield command
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def test_the_commands_for_experiments_and_runs_work(run, client, tmp_path):
    run("experiments", "create", "--experiment-name", "churn")
    number = client.get_experiment_by_name("churn").experiment_id
    assert "churn" in run("experiments", "get", "--experiment-id", number)
    run("experiments", "rename", "--experiment-id", number, "--new-name", "leavers")
    assert "leavers" in run("experiments", "search")
    run("runs", "create", "--experiment-id", number, "--run-name", "first")
    made = client.search_runs([number])[0].info.run_id
    client.log_metric(made, "auc", 0.9)
    assert made in run("runs", "list", "--experiment-id", number)
    assert json.loads(run("runs", "describe", "--run-id", made))["data"]["metrics"] == {"auc": 0.9}
    run("experiments", "csv", "--experiment-id", number, "--filename", str(tmp_path / "runs.csv"))
    assert made in (tmp_path / "runs.csv").read_text()
    run("runs", "delete", "--run-id", made)
    assert made not in run("runs", "list", "--experiment-id", number)
    run("runs", "restore", "--run-id", made)
    run("experiments", "delete", "--experiment-id", number)
    assert "leavers" not in run("experiments", "search")
    run("experiments", "restore", "--experiment-id", number)
    assert "leavers" in run("experiments", "search")


def test_the_commands_for_artifacts_and_models_work(run, client, tmp_path):
    import mlflow.onnx

    (tmp_path / "note.txt").write_text("hello")
    mlflow.set_experiment("churn")
    with mlflow.start_run() as started:
        mlflow.onnx.log_model(
            onnx_files.linear(), name="model", registered_model_name="churn", pip_requirements=["onnx"]
        )
    number = started.info.run_id
    client.set_registered_model_alias("churn", "champion", "1")
    run("artifacts", "log-artifact", "--local-file", str(tmp_path / "note.txt"), "--run-id", number)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.txt").write_text("1")
    run("artifacts", "log-artifacts", "--local-dir", str(tmp_path / "more"), "--run-id", number)
    assert [item["path"] for item in json.loads(run("artifacts", "list", "--run-id", number))] == [
        "note.txt",
        "one.txt",
    ]
    uri = "models:/churn@champion"
    place = run("artifacts", "download", "--artifact-uri", uri, "--dst-path", str(tmp_path / "got")).strip()
    assert (Path(place.splitlines()[-1]) / "model.onnx").read_bytes()
    run("models", "generate-dockerfile", "-m", uri, "-d", str(tmp_path / "image"), "--env-manager", "local")
    assert (tmp_path / "image" / "Dockerfile").exists()
    (tmp_path / "in.json").write_text(json.dumps({"inputs": {"X": [[0.5, 0.5, 0.25]]}}))
    run("models", "predict", "-m", uri, "-i", str(tmp_path / "in.json"), "-o", str(tmp_path / "out.json"),
        "--env-manager", "local")  # fmt: skip
    assert json.loads((tmp_path / "out.json").read_text())["predictions"]["y"] == [[1.25]]


def test_the_skinny_client_works_without_the_packages_that_only_the_full_one_has(tracking_uri):
    done = subprocess.run(
        [sys.executable, str(SKINNY)],
        env=os.environ | {"MLFLOW_EXPERIMENT_ID": "0", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["numpy", "is", "away", "1", "0.9", "s3://bucket/1"]
