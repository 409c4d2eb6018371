"""What a training script registered with MLflow's client goes into production like any other version."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from django.contrib.auth.models import User
from django.test import Client

from registry import tasks, tokens
from registry.adapters.filesystem import FilesystemStore
from registry.domain.actor import SYSTEM
from registry.domain.roles import Role
from registry.identity import grant
from registry.models import Version
from registry.tests import onnx_files
from rollouts import reconcile, services
from rollouts.tests.cast import FAST
from rollouts.tests.driving import Driver

pytestmark = pytest.mark.django_db
FILES, CALLS = "/api/2.0/mlflow-artifacts/artifacts", "/api/2.0/mlflow"


@pytest.fixture
def registered(settings, tmp_path):
    """Two versions as `mlflow.onnx.log_model` leaves them: model.onnx, and its weights in a file beside it."""

    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    engineer = User.objects.create(username="ada", password="!")
    grant(engineer, Role.ENGINEER)
    secret = tokens.create_token(user=engineer, name="training", actor=SYSTEM)[1]
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def post(path: str, **body: object) -> dict[str, dict]:
        answer = client.post(f"{CALLS}/{path}", json.dumps(body), content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    post("registered-models/create", name="churn")
    for weight in (0.5, 2.0):
        model = onnx_files.linear(columns=600, weight=weight)
        folder = onnx_files.save_apart(model, tmp_path / f"model-{weight}" / "model.onnx", "c0ffee")
        info = post("runs/create", experiment_id="0")["run"]["info"]
        place = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for file in folder.iterdir():
            kind = "application/octet-stream"
            answer = client.put(f"{FILES}/{place}/model/{file.name}", file.read_bytes(), content_type=kind)
            assert answer.status_code == 200, answer.content
        post(
            "model-versions/create",
            name="churn",
            source=f"runs:/{info['run_id']}/model",
            run_id=info["run_id"],
        )
    while tasks.work_one():
        pass
    return list(Version.objects.order_by("number"))


def test_versions_registered_over_the_protocol_are_served_and_replace_each_other(
    registered, ports, author, monkeypatch
):
    first, second = registered
    assert [version.unready for version in registered] == ["", ""]
    production = services.create_environment(name="production", actor=author)
    endpoint = services.create_endpoint(
        name="churn-production", environment=production, version=first, actor=author
    )
    driver = Driver(endpoint, ports)
    monkeypatch.setattr(reconcile, "judge", driver.judge)
    driver.tick(2)
    services.start_rollout(
        endpoint=endpoint,
        version=second,
        strategy="canary",
        parameters=FAST,
        actor=author,
        reason="retrained",
    )
    driver.until("succeeded")
    endpoint.refresh_from_db()
    assert endpoint.stable.version == second
    # What a server is given is one file that runs by itself.
    file = Path(FilesystemStore().path_or_uri(second.digest))
    answer = onnxruntime.InferenceSession(file.read_bytes()).run(None, {"X": np.ones((1, 600), np.float32)})
    assert answer[0].tolist() == [[1200.0]]
