"""Bad input never gives a 500: MLflow's client would ask again for minutes.

`SLIPWAY_FUZZ=20000 pytest registry/tests/mlflow/test_fuzz.py` looks longer than the suite does; it runs on
PostgreSQL, which refuses more values than SQLite, when SLIPWAY_DATABASE_URL names one.
"""

import base64
import json
import zlib

from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from registry.tests import fuzzing
from registry.tests.mlflow.conftest import LOGGED
from registry.tests.mlflow.test_mlflow_routes import TABLE, ask

NAMES = [
    "name",
    "version",
    "key",
    "value",
    "tags",
    "alias",
    "stage",
    "filter",
    "order_by",
    "max_results",
    "page_token",
    "run_id",
    "run_uuid",
    "experiment_id",
    "experiment_ids",
    "experiment_name",
    "description",
    "new_name",
    "source",
    "run_name",
    "status",
    "start_time",
    "end_time",
    "user_id",
    "metric_key",
    "metrics",
    "params",
    "models",
    "datasets",
    "step",
    "timestamp",
    "path",
    "artifact_location",
    "lifecycle_stage",
    "view_type",
    "run_view_type",
    "model_id",
    "model_type",
    "source_run_id",
    "archive_existing_versions",
    "run_link",
    "stages",
    "data",
    "outputs",
    "inputs",
    "artifact_directory_path",
    "dataset_name",
    "dataset_digest",
    "ascending",
    "field_name",
    "runId",
    "maxResults",
    "orderBy",
]
TEXTS = [
    "", "churn", "1", "0", "-1", "champion", "Production", "None", "a" * 32, LOGGED, "EXPERIMENT", "m", "k",
    "x\x00y", "\ud800", "é" * 300, "a" * 300, "../..", "/", "%00", "name", "NaN", "Infinity", "1e400", "9" * 40,
    "s3://b/x", "runs:/" + "a" * 32 + "/m", "models:/churn/1", "models:/churn@", "mlflow-artifacts:/x", "file:///etc",
    "http://[", "dbfs:/x", "FINISHED", "ACTIVE_ONLY", "LOGGED_MODEL_READY", "١", "true",
    "name = 'churn'", "name ILIKE '%\\'", "tags.a = 'x' AND tags.`b c` != \"y\"", "metrics.m > 1e999",
    "metrics.`m` = NaN", "params.p LIKE 'a\x00'", "attributes.start_time > 99999999999999999999", "name = 'a",
    "version_number > 99999999999", "run_id IN ()", "run_id IN ('a','b'", "name DESC", "metrics.m ASC",
    "timestamp DESC, name", "creation_timestamp", "tags.x DESC", "`", "(" * 500, "name = '" + "a" * 5000 + "'",
    "source_path = 'x'", "last_updated_timestamp < -1", "metrics.m", "attributes.created = ''",
]  # fmt: skip
values = fuzzing.values(NAMES, TEXTS)
tokens = st.one_of(
    st.text(max_size=20),
    values.map(lambda said: base64.urlsafe_b64encode(json.dumps(said).encode()).decode()),
    values.map(lambda said: base64.urlsafe_b64encode(zlib.compress(json.dumps(said).encode())).decode()),
)
changes = fuzzing.documents(NAMES, values, most=3)


@fuzzing.looked_for(100)
@given(
    row=st.sampled_from(TABLE),
    changed=changes,
    token=st.none() | tokens,
    dropped=st.sets(st.sampled_from(NAMES)),
)
def test_no_argument_of_any_call_gives_a_500(secret_of, world, row, changed, token, dropped):
    method, path, _, body = row
    said = {name: value for name, value in body.items() if name not in dropped} | changed
    said |= {"page_token": token} if token is not None else {}
    with transaction.atomic():
        secret = secret_of("admin")
        answer = ask(secret, method, path, _query(said) if method == "GET" else said, world)
        transaction.set_rollback(True)
    told = answer.getvalue()[:500]
    for close in answer._resource_closers:  # `close` itself would end the connection too
        close()
    assert answer.status_code < 500 or answer.status_code == 501, (method, path, said, told)


def _query(said):
    """What a query string can say: None is left out, lists repeat."""
    flat = {}
    for name, value in said.items():
        items = value if isinstance(value, list) else [value]
        flat[name] = [fuzzing.sendable(item) for item in items if item is not None]
    return flat


def test_a_page_token_of_one_order_is_refused_with_another_and_one_that_was_changed_everywhere(
    secret_of, world
):
    secret = secret_of("admin")
    for _ in range(3):
        assert ask(secret, "POST", "runs/create", {"experiment_id": "EXPERIMENT"}, world).status_code == 200

    def search(order, token=""):
        body = {"max_results": 1, "order_by": [order], "page_token": token}
        body["experiment_ids"] = [world["EXPERIMENT"]]
        return ask(secret, "POST", "runs/search", body)

    token = search("metrics.m").json()["next_page_token"]
    assert search("metrics.m", token).status_code == 200
    for order, changed in (
        ("params.m", token),
        ("metrics.n", token),
        ("metrics.m", "A" + token),
        ("metrics.m", token[:-1]),
    ):
        answer = search(order, changed)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), order
