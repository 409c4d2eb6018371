"""From a training script to a version that can be rolled out, with MLflow's own functions."""

from __future__ import annotations

import io

import mlflow
import numpy as np
import onnx
import pytest
import requests

from registry import tasks
from registry.models import TrackedFile, Version
from registry.tests import onnx_files

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def fluent(tracking_uri):
    """mlflow's module-level functions, pointed at the server and back afterwards."""
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    mlflow.set_experiment("churn")
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def test_a_logged_onnx_model_becomes_a_version_that_can_be_rolled_out(fluent, store):
    import mlflow.onnx

    with fluent.start_run() as run:
        fluent.log_params({"lr": 0.1})
        fluent.log_metrics({"auc": 0.8}, step=1)
        fluent.log_metrics({"auc": 0.9, "loss": float("nan"), "a:b": 1.0}, step=2)
        mlflow.onnx.log_model(
            onnx_files.linear(), name="model", registered_model_name="churn", pip_requirements=["onnx"]
        )
    version = Version.objects.get(model__name="churn", number=1)
    assert (version.state, version.filename, version.training_run) == (
        "pending",
        "model.onnx",
        run.info.run_id,
    )
    while tasks.work_one():
        pass
    version.refresh_from_db()
    assert (version.state, version.format, version.unready) == ("ready", "onnx", "")
    assert version.signature["inputs"][0]["name"] == "X"
    assert version.hyperparameters == {"lr": "0.1"}
    assert [(m.name, m.value, m.step) for m in version.latest_metrics.all()] == [("auc", 0.9, 2)]
    client = fluent.MlflowClient()
    client.set_registered_model_alias("churn", "challenger", "1")
    loaded = mlflow.onnx.load_model("models:/churn@challenger")
    assert loaded.SerializeToString() == onnx_files.linear().SerializeToString()
    model = fluent.pyfunc.load_model("models:/churn/1")
    assert model.predict(np.ones((2, 3), dtype=np.float32))["y"].ravel().tolist() == [3.0, 3.0]
    registered = fluent.register_model(f"runs:/{run.info.run_id}/model", "churn")
    assert (registered.version, registered.run_id) == ("2", run.info.run_id)
    assert Version.objects.get(model__name="churn", number=2).digest == version.digest


def test_a_model_that_mlflow_splits_into_files_becomes_one_file_that_can_be_rolled_out(fluent, store):
    """mlflow.onnx.log_model keeps every tensor of 1 KiB or more in a file beside model.onnx."""
    import mlflow.onnx

    model = onnx_files.linear(columns=600, weight=0.5)
    weights = np.full((600, 1), 0.5, dtype=np.float32)
    with fluent.start_run():
        mlflow.onnx.log_model(model, name="model", registered_model_name="wide", pip_requirements=["onnx"])
    version = Version.objects.get(model__name="wide")
    split = version.digest
    assert version.size < weights.nbytes < sum(TrackedFile.objects.values_list("size", flat=True))
    while tasks.work_one():
        pass
    version.refresh_from_db()
    assert (version.state, version.unready, version.file_count) == ("ready", "", 0), version.problem
    assert version.digest != split and version.size > weights.nbytes
    with store.open(version.digest) as stream:
        joined = onnx.load_from_string(stream.read())
    assert np.array_equal(onnx.numpy_helper.to_array(joined.graph.initializer[0]), weights)
    # To MLflow's clients it stays what it was.
    loaded = fluent.pyfunc.load_model("models:/wide/1")
    assert loaded.predict(np.ones((1, 600), dtype=np.float32))["y"].ravel().tolist() == [300.0]


def test_a_model_whose_other_file_was_not_logged_is_refused_and_says_so(fluent, tmp_path):
    onnx_files.save_apart(onnx_files.linear(columns=600), tmp_path / "model.onnx")
    with fluent.start_run() as run:
        fluent.log_artifact(str(tmp_path / "model.onnx"), "m")
        fluent.log_text("no weights", "m/readme.txt")
    client = fluent.MlflowClient()
    client.create_registered_model("halved")
    client.create_model_version("halved", f"runs:/{run.info.run_id}/m", run_id=run.info.run_id)
    while tasks.work_one():
        pass
    version = Version.objects.get(model__name="halved")
    assert version.state == "refused"
    assert "keeps its data in 'weights.bin'" in version.problem["message"]


def test_artifacts_of_a_run_go_up_and_come_back(fluent, tmp_path):
    (tmp_path / "big.bin").write_bytes(b"0123456789" * 300_000)
    with fluent.start_run() as run:
        fluent.log_artifact(str(tmp_path / "big.bin"), "deep/er")
        fluent.log_text("hello", "note.txt")
    client = fluent.MlflowClient()
    assert [(f.path, f.is_dir) for f in client.list_artifacts(run.info.run_id)] == [
        ("deep", True),
        ("note.txt", False),
    ]
    assert [f.path for f in client.list_artifacts(run.info.run_id, "deep/er")] == ["deep/er/big.bin"]
    place = fluent.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="deep", dst_path=str(tmp_path / "out")
    )
    assert (tmp_path / "out/deep/er/big.bin").read_bytes() == b"0123456789" * 300_000, place


def test_paths_that_climb_are_refused_and_leave_nothing(tracking_uri, secret_of):
    root = f"{tracking_uri}/api/2.0/mlflow-artifacts/artifacts"
    headers = {"Authorization": f"Bearer {secret_of('admin')}"}
    for path in ("a/%2e%2e/b", "%2e%2e/b", "a/%252e%252e/b", "%2Fetc/passwd", "a%00b", "a%5C..%5Cb"):
        for method in ("PUT", "GET", "DELETE"):
            answer = requests.request(method, f"{root}/{path}", data=b"x", headers=headers, timeout=10)
            assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), path
        answer = requests.get(f"{root}?path={path}", headers=headers, timeout=10)
        assert answer.status_code == 400, path
    assert not TrackedFile.objects.exists()


def test_a_file_above_the_limit_or_cut_off_leaves_nothing(cast, store, settings):
    from registry.errors import Invalid, TooLarge
    from registry.services.files import put_file

    settings.SLIPWAY_MAX_ARTIFACT_MB = 1
    with pytest.raises(TooLarge):
        put_file(path="a/b", stream=io.BytesIO(b"x" * (1 << 20 | 1)), store=store)
    with pytest.raises(Invalid, match="ended after 3 of 5 bytes"):
        put_file(path="a/b", stream=io.BytesIO(b"abc"), store=store, length=5)
    assert not TrackedFile.objects.exists() and not list(store.digests())
