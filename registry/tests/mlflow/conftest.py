"""The real client of MLflow against a server of this process."""

from __future__ import annotations

import pytest

from registry import services, tokens
from registry.domain.actor import SYSTEM
from registry.models import LoggedModel
from registry.services import tracking

LOGGED = "m-" + "b" * 32


@pytest.fixture
def secret_of(cast):
    """`secret_of("engineer")`: a token of that user."""

    def make(name, **limits):
        return tokens.create_token(user=cast[name], name="mlflow", actor=SYSTEM, **limits)[1]

    return make


@pytest.fixture
def tracking_uri(live_server, transactional_db, store, secret_of, monkeypatch, tmp_path):
    """The address of the server; the client sends an administrator's token and never retries for minutes."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", secret_of("admin"))
    # Both: set_registry_uri leaves this one behind in the environment, for later tests and child processes.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", live_server.url)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", live_server.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return live_server.url


@pytest.fixture
def client(tracking_uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri)


@pytest.fixture
def world(version, model, store, tmp_path):
    """One of everything that the calls name."""
    services.set_alias(model=model, name="champion", version=version, actor=SYSTEM)
    services.create_model(name="empty", actor=SYSTEM)
    experiment = tracking.create_experiment(name="first", tags={"there": "x"}, actor=SYSTEM)
    gone = tracking.create_experiment(name="gone", actor=SYSTEM)
    tracking.delete_experiment(experiment=gone, actor=SYSTEM)
    tracking.create_run(experiment=experiment, uid="a" * 32, tags={"there": "x"}, actor=SYSTEM)
    logged = tracking.create_logged_model(experiment=experiment, tags={"there": "x"}, actor=SYSTEM)
    LoggedModel.objects.filter(pk=logged.pk).update(uid=LOGGED)
    with (tmp_path / "file").open("w+b") as file:
        from registry.services.files import put_file

        put_file(path="x/file.txt", stream=file, store=store)
    return {"EXPERIMENT": str(experiment.pk), "DELETED": str(gone.pk)}
