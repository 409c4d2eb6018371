"""Every call of the MLflow protocol against every role: the answer each may expect.

A call that is not in the table fails the test, so nobody adds one without deciding who may make it.
"""

import json

import pytest
from django.db import transaction
from django.test import Client

from registry import services, tokens
from registry.domain.access import Scope
from registry.domain.actor import SYSTEM
from registry.domain.roles import Permission, Role, permissions
from registry.mlflow.table import ROUTES
from registry.models import Experiment, Model, RoleGrant, Run, TrackedFile
from registry.services.recording import Recorded
from registry.tests.conftest import CAST
from registry.tests.mlflow.conftest import LOGGED

ML, FILES = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/"
VIEW, REGISTER, PROMOTE, ADMINISTER = (
    Permission.VIEW, Permission.REGISTER, Permission.PROMOTE, Permission.ADMINISTER,
)  # fmt: skip
MODEL, VERSION = {"name": "churn"}, {"name": "churn", "version": "1"}
RUN, EXPERIMENT = {"run_id": "a" * 32}, {"experiment_id": "EXPERIMENT"}
TAG = {"key": "k", "value": "v"}

TABLE = [
    ("POST", "registered-models/create", REGISTER, {"name": "fresh"}),
    ("GET", "registered-models/get", VIEW, MODEL),
    ("PATCH", "registered-models/update", REGISTER, MODEL | {"description": "x"}),
    ("POST", "registered-models/rename", ADMINISTER, MODEL | {"new_name": "other"}),
    ("DELETE", "registered-models/delete", ADMINISTER, {"name": "empty"}),
    ("GET", "registered-models/search", VIEW, {}),
    ("GET", "registered-models/get-latest-versions", VIEW, MODEL),
    ("POST", "registered-models/get-latest-versions", VIEW, MODEL),
    ("POST", "registered-models/set-tag", REGISTER, MODEL | TAG),
    ("DELETE", "registered-models/delete-tag", REGISTER, MODEL | {"key": "k"}),
    ("POST", "registered-models/alias", PROMOTE, VERSION | {"alias": "champion"}),
    ("GET", "registered-models/alias", VIEW, MODEL | {"alias": "champion"}),
    ("DELETE", "registered-models/alias", PROMOTE, MODEL | {"alias": "champion"}),
    ("POST", "model-versions/create", REGISTER, MODEL | {"source": "s3://bucket/x"}),
    ("GET", "model-versions/get", VIEW, VERSION),
    ("PATCH", "model-versions/update", REGISTER, VERSION | {"description": "x"}),
    ("DELETE", "model-versions/delete", ADMINISTER, VERSION),
    ("POST", "model-versions/transition-stage", PROMOTE, VERSION | {"stage": "Production"}),
    ("GET", "model-versions/search", VIEW, {}),
    ("GET", "model-versions/get-download-uri", VIEW, VERSION),
    ("POST", "model-versions/set-tag", REGISTER, VERSION | TAG),
    ("DELETE", "model-versions/delete-tag", REGISTER, VERSION | {"key": "k"}),
    ("POST", "experiments/create", REGISTER, {"name": "fresh"}),
    ("GET", "experiments/get", VIEW, {"experiment_id": "0"}),
    ("GET", "experiments/get-by-name", VIEW, {"experiment_name": "Default"}),
    ("GET", "experiments/search", VIEW, {"max_results": "10"}),
    ("POST", "experiments/search", VIEW, {"max_results": 10}),
    ("POST", "experiments/update", REGISTER, EXPERIMENT | {"new_name": "other"}),
    ("POST", "experiments/delete", REGISTER, EXPERIMENT),
    ("POST", "experiments/restore", REGISTER, {"experiment_id": "DELETED"}),
    ("POST", "experiments/set-experiment-tag", REGISTER, EXPERIMENT | TAG),
    ("POST", "experiments/delete-experiment-tag", REGISTER, EXPERIMENT | {"key": "there"}),
    ("POST", "runs/create", REGISTER, {"experiment_id": "0"}),
    ("GET", "runs/get", VIEW, RUN),
    ("POST", "runs/update", REGISTER, RUN | {"status": "FINISHED"}),
    ("POST", "runs/delete", REGISTER, RUN),
    ("POST", "runs/restore", REGISTER, RUN),
    ("POST", "runs/search", VIEW, {"experiment_ids": ["0"]}),
    ("POST", "runs/log-metric", REGISTER, RUN | {"key": "m", "value": 1, "timestamp": 1}),
    ("POST", "runs/log-parameter", REGISTER, RUN | TAG),
    ("POST", "runs/log-batch", REGISTER, RUN),
    ("POST", "runs/set-tag", REGISTER, RUN | TAG),
    ("POST", "runs/delete-tag", REGISTER, RUN | {"key": "there"}),
    ("POST", "runs/log-inputs", REGISTER, RUN),
    ("POST", "runs/outputs", REGISTER, RUN),
    ("GET", "metrics/get-history", VIEW, RUN | {"metric_key": "m"}),
    ("GET", "metrics/get-history-bulk", VIEW, RUN | {"metric_key": "m"}),
    ("GET", "artifacts/list", VIEW, RUN),
    ("POST", "logged-models", REGISTER, {"experiment_id": "0"}),
    ("POST", "logged-models/search", VIEW, {"experiment_ids": ["0"]}),
    ("GET", "logged-models/{model_id}", VIEW, {}),
    ("PATCH", "logged-models/{model_id}", REGISTER, {"status": "LOGGED_MODEL_READY"}),
    ("DELETE", "logged-models/{model_id}", REGISTER, {}),
    ("PATCH", "logged-models/{model_id}/tags", REGISTER, {"tags": [TAG]}),
    ("DELETE", "logged-models/{model_id}/tags/{key}", REGISTER, {}),
    ("POST", "logged-models/{model_id}/params", REGISTER, {"params": [TAG]}),
    ("GET", "logged-models/{model_id}/artifacts/directories", VIEW, {}),
    ("GET", f"{FILES}artifacts", VIEW, {"path": "x"}),
    ("PUT", f"{FILES}artifacts/{{path}}", REGISTER, {}),
    ("GET", f"{FILES}artifacts/{{path}}", VIEW, {}),
    ("DELETE", f"{FILES}artifacts/{{path}}", ADMINISTER, {}),
    ("POST", f"{FILES}mpu/{{path}}", REGISTER, {}),
    ("GET", f"{FILES}presigned/{{path}}", VIEW, {}),
    ("GET", "/api/3.0/mlflow/server-info", None, {}),
    ("GET", "/version", None, {}),
    ("GET", "/health", None, {}),
]


def whole(path):
    return path if path.startswith("/") else ML + path


def test_the_table_names_every_call():
    known = {(method, route.path) for route in ROUTES for method in route.methods.split()}
    assert {(method, whole(path)) for method, path, *_ in TABLE} == known


def ask(secret, method, path, body, world=None):
    path = whole(path).replace("{model_id}", LOGGED).replace("{key}", "there").replace("{path}", "x/file.txt")
    body = {
        key: (world or {}).get(value, value) if isinstance(value, str) else value
        for key, value in body.items()
    }
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    client = Client(raise_request_exception=False, headers=headers)
    if method == "GET":
        return client.get(path, body)
    return client.generic(method, path, json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("who", [*CAST, None], ids=str)
def test_each_call_answers_each_role_as_the_table_says(secret_of, world, who):
    secret = who and secret_of(who)
    for method, path, needed, body in TABLE:
        with transaction.atomic():
            answer = ask(secret, method, path, body, world)
            transaction.set_rollback(True)
        said = (method, path, answer.status_code, answer.getvalue()[:300])
        if needed is None:
            assert answer.status_code == 200, said
        elif who is None:
            assert answer.status_code == 401 and answer.json()["error_code"] == "UNAUTHENTICATED", said
        elif needed not in permissions(CAST[who]):
            assert answer.status_code == 403 and answer.json()["error_code"] == "PERMISSION_DENIED", said
        elif "mpu/" in path or "presigned/" in path:
            assert answer.status_code == 501 and answer.json()["error_code"] == "NOT_IMPLEMENTED", said
        else:
            assert answer.status_code == 200, said


def test_a_role_on_one_team_reaches_that_teams_models_only(cast, secret_of, world, model):
    other = services.create_model(name="pricing", owner_team="sales", actor=SYSTEM)
    services.adopt_version(model=other, said=Recorded(source="s3://b/x"), actor=SYSTEM)
    RoleGrant.objects.create(user=cast["outsider"], role=Role.ENGINEER.value, team="sales")
    secret = secret_of("outsider")
    assert ask(secret, "GET", "registered-models/get", {"name": "pricing"}).status_code == 200
    assert ask(secret, "GET", "registered-models/get", MODEL).status_code == 404
    assert ask(secret, "GET", "model-versions/get", VERSION).status_code == 404
    assert ask(secret, "POST", "model-versions/set-tag", VERSION | TAG).status_code == 404
    assert (
        ask(
            secret, "POST", "model-versions/create", {"name": "pricing", "source": "models:/churn/1"}
        ).status_code
        == 404
    )
    found = ask(secret, "GET", "registered-models/search", {}).json()["registered_models"]
    assert [item["name"] for item in found] == ["pricing"]
    found = ask(secret, "GET", "model-versions/search", {}).json()["model_versions"]
    assert {item["name"] for item in found} == {"pricing"}
    assert ask(secret, "POST", "registered-models/create", {"name": "fresh"}).status_code == 200
    assert Model.objects.get(name="fresh").owner_team == "sales"


def test_a_token_limited_to_a_model_reaches_that_model_only(secret_of, world, model):
    services.create_model(name="pricing", owner_team="sales", actor=SYSTEM)
    secret = secret_of("admin", scope=Scope(model=model.pk))
    assert ask(secret, "GET", "registered-models/get", MODEL).status_code == 200
    assert ask(secret, "GET", "registered-models/get", {"name": "pricing"}).status_code == 404


def test_the_token_may_be_the_password_of_basic_authentication(secret_of, world):
    import base64

    for credentials, status in (("me:" + secret_of("viewer"), 200), ("me:wrong", 401), ("nonsense", 401)):
        header = "Basic " + base64.b64encode(credentials.encode()).decode()
        client = Client(headers={"Authorization": header})
        assert client.get(ML + "registered-models/get", MODEL).status_code == status
    assert Client(headers={"Authorization": "Basic %%%"}).get(ML + "runs/get", RUN).status_code == 401


def test_a_session_is_no_credential_of_the_protocol(cast, world):
    client = Client()
    client.force_login(cast["admin"])
    assert client.get(ML + "registered-models/get", MODEL).status_code == 401


def test_what_is_not_offered_says_so_in_json(secret_of, db):
    for method, path in (("POST", "traces"), ("GET", "webhooks"), ("PUT", "registered-models/get")):
        answer = ask(secret_of("admin"), method, path, {})
        assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert "/api/2.0/mlflow/traces" in ask(None, "POST", "traces", {}).json()["message"]


def test_a_body_that_is_too_large_says_so(secret_of, db, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = ask(
        secret_of("admin"), "POST", "registered-models/create", {"name": "m", "description": "x" * 100}
    )
    assert (answer.status_code, answer.json()["message"]) == (400, "The request's body is too large.")


def test_the_ajax_paths_mean_the_same(secret_of, world):
    assert (
        ask(secret_of("viewer"), "GET", "/ajax-api/2.0/mlflow/registered-models/get", MODEL).status_code
        == 200
    )


def test_changes_carry_the_user_and_the_token(secret_of, world, model):
    from registry.models import AuditEntry

    token = tokens.authenticate(secret_of("engineer"))[1]
    secret = secret_of("engineer")
    ask(secret, "POST", "registered-models/set-tag", MODEL | TAG)
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.actor_name, entry.actor_kind) == ("model.tag", "engineer", "token")
    assert entry.via == secret[:12] != token.prefix


def test_what_was_made_is_there(world):
    assert (Run.objects.count(), Experiment.objects.count(), TrackedFile.objects.count()) == (1, 2, 2)
