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

from registry.domain.actor import SYSTEM
from registry.errors import Unavailable
from registry.importing import import_registry
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


class Elsewhere:
    """A server with one model, whose connection breaks after so many points of the metric."""

    def __init__(self, breaks_after=None, source="s3://bucket/x"):
        self.breaks_after, self.source = breaks_after, source

    def models(self):
        return [{"name": "churn", "tags": [], "description": ""}]

    def model(self, name):
        return {"name": name, "aliases": []}

    def versions(self, name):
        moment = {"creation_timestamp": "1000", "last_updated_timestamp": "2000"}
        return [{"name": name, "version": "1", "source": self.source, "run_id": "a" * 32, **moment}]

    def run(self, uid):
        data = {"params": [{"key": "lr", "value": "0.1"}], "metrics": [{"key": "loss"}]}
        return {"info": {"run_name": "one", "status": "FINISHED", "end_time": "9"}, "data": data}

    def history(self, uid, key):
        for n in range(2500):
            if n == self.breaks_after:
                raise Unavailable("the connection broke")
            yield {"key": key, "value": 1 / (n + 1), "timestamp": n, "step": n}

    def location(self, name, version):
        return self.source

    def files(self, location):
        return []


def test_an_import_that_broke_in_the_middle_of_a_run_is_completed_by_the_next(store, db):
    first = import_registry(Elsewhere(breaks_after=1500), store=store, actor=SYSTEM)
    assert first.failed == [("churn version 1", "the connection broke")]
    assert Point.objects.count() == 1000 and Run.objects.get().status == "RUNNING"
    second = import_registry(Elsewhere(), store=store, actor=SYSTEM)
    assert second.failed == [] and second.imported["versions"] == 1
    assert Point.objects.count() == 2500 and Run.objects.get().status == "FINISHED"
    third = import_registry(Elsewhere(), store=store, actor=SYSTEM)
    assert third.present["versions"] == 1 and not third.imported


def test_a_version_of_another_origin_is_not_taken_for_the_one_that_is_imported(store, db):
    import_registry(Elsewhere(), store=store, actor=SYSTEM)
    report = import_registry(Elsewhere(source="s3://bucket/other"), store=store, actor=SYSTEM)
    assert report.failed == [("churn version 1", "another version has this number here")]
    assert Version.objects.get().source == "s3://bucket/x"
