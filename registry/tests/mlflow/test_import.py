"""A registry moves here from MLflow's own server, twice without harm."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import pytest
import requests
from django.core.management import CommandError, call_command

from registry.models import Alias, Model, Point, Run, TrackedFile, Version
from registry.tests import onnx_files
from tests.servers.waiting import free_port

pytestmark = pytest.mark.stack


@pytest.fixture
def origin(tmp_path):
    """MLflow's own server, with a model of two versions: one of an ONNX file, one of an object store."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", str(tmp_path / "files"),
    ]  # fmt: skip
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            deadline = time.monotonic() + 120
            while not _answers(url):
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()[
                    -2000:
                ]
                time.sleep(0.3)
            _fill(url)
            yield url
        finally:
            # Its workers are children of its own, which would outlive it.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _answers(url):
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


def _fill(url):
    def post(path, **body):
        answer = requests.post(f"{url}/api/2.0/mlflow/{path}", json=body, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    run = post("runs/create", experiment_id="0", run_name="one", start_time=5)["run"]["info"]
    points = [{"key": "loss", "value": 1 / (n + 1), "timestamp": n, "step": n} for n in range(50)]
    post("runs/log-batch", run_id=run["run_id"], metrics=points, params=[{"key": "lr", "value": "0.1"}])
    root = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    put = requests.put(
        f"{url}/api/2.0/mlflow-artifacts/artifacts/{root}/model/model.onnx",
        data=onnx_files.linear().SerializeToString(), timeout=30,
    )  # fmt: skip
    assert put.ok
    post("registered-models/create", name="churn", tags=[{"key": "team", "value": "growth"}], description="d")
    post("model-versions/create", name="churn", source=f"{run['artifact_uri']}/model", run_id=run["run_id"])
    post("model-versions/create", name="churn", source="s3://bucket/x", tags=[{"key": "k", "value": "v"}])
    post("registered-models/alias", name="churn", alias="champion", version="2")


def test_everything_moves_and_a_second_time_changes_nothing(origin, store, db):
    told = io.StringIO()
    call_command("import_mlflow", origin, stdout=told)
    assert "versions: 2 imported, 0 here already" in told.getvalue()
    model = Model.objects.get(name="churn")
    assert (model.tags, model.description, model.last_number) == ({"team": "growth"}, "d", 2)
    first, second = Version.objects.filter(model=model).order_by("number")
    assert (first.state, first.filename) == ("pending", "model.onnx") and first.digest
    assert (second.state, second.source, second.tags) == ("recorded", "s3://bucket/x", {"k": "v"})
    assert Alias.objects.get(model=model).version == second
    run = Run.objects.get()
    assert (run.name, run.params, run.status) == ("one", {"lr": "0.1"}, "RUNNING")
    assert Point.objects.count() == 50 and TrackedFile.objects.exclude(digest="").count() == 1
    told = io.StringIO()
    call_command("import_mlflow", origin, stdout=told)
    assert "versions: 0 imported, 2 here already" in told.getvalue()
    assert (Version.objects.count(), Point.objects.count()) == (2, 50)


def test_a_server_that_is_not_there_is_told(store, db):
    with pytest.raises(CommandError, match="did not answer"):
        call_command("import_mlflow", f"http://127.0.0.1:{free_port()}")
