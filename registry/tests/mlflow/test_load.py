"""Many clients at once, and searches that find their rows by an index, on whichever database."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections
from django.test import Client

from registry import audit
from registry.mlflow.calls.model_versions import _VOCABULARY as VERSIONS
from registry.mlflow.calls.registered_models import _VOCABULARY as MODELS
from registry.mlflow.calls.runs import _VOCABULARY as RUNS
from registry.models import Experiment, Model, Point, Run, Version

CLIENTS, ROUNDS = 50, 2


def test_fifty_clients_that_log_and_register_at_once_meet_no_error_and_share_no_number(
    transactional_db, secret_of, store
):
    """A few seconds of what benchmarks/mlflow/soak.py does for five minutes."""
    headers = {"Authorization": f"Bearer {secret_of('admin')}"}
    start, faults, numbers = threading.Barrier(CLIENTS), [], []

    def post(path, **body):
        address = f"/api/2.0/mlflow/{path}"
        answer = Client(headers=headers).post(address, body, content_type="application/json")
        connections.close_all()
        if answer.status_code != 200:
            faults.append((path, answer.status_code, answer.content))
        return answer.json()

    post("registered-models/create", name="busy")
    runs = [post("runs/create", experiment_id="0")["run"]["info"]["run_id"] for _ in range(5)]

    def work(number: int) -> None:
        start.wait(60)
        try:
            for at in range(ROUNDS):
                post(
                    "runs/log-metric", run_id=runs[number % 5], key="loss", value=1, timestamp=number, step=at
                )
                made = post("model-versions/create", name="busy", source=f"s3://bucket/{number}")
                numbers.append(int(made["model_version"]["version"]))
        except Exception as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert faults == []
    assert sorted(numbers) == list(range(1, CLIENTS * ROUNDS + 1))
    assert Point.objects.filter(series__key="loss").count() == CLIENTS * ROUNDS
    assert audit.verify_chain().whole


@pytest.fixture
def many(db):
    """Rows of which few have each tag. They are too few to be worth an index, so reading all is forbidden."""
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL's indexes: tests/servers/test_on_postgresql.py runs it there")
    models = Model.objects.bulk_create(
        [Model(name=f"m{n}", tags={"team": f"t{n % 100}", f"rare{n % 100}": "x"}) for n in range(1000)]
    )
    Version.objects.bulk_create(
        Version(model=models[0], number=n, size=0, tags={"team": f"t{n % 100}", f"rare{n % 100}": "x"})
        for n in range(1, 1001)
    )
    experiment = Experiment.objects.create(name="e", created_ms=0, updated_ms=0)
    Run.objects.bulk_create(
        Run(uid=f"{n:032}", experiment=experiment, tags={"team": f"t{n % 100}"}, params={"lr": f"{n % 100}"})
        for n in range(1000)
    )
    with connection.cursor() as cursor:
        for table in ("model", "version", "run"):
            cursor.execute(f"ANALYZE registry_{table}")
        cursor.execute("SET LOCAL enable_seqscan = off")


@pytest.mark.parametrize(
    ("rows", "vocabulary", "text", "index"),
    [
        (Model, MODELS, "tags.team = 't7'", "model_tags"),
        (Model, MODELS, "tags.rare7 LIKE 'x%'", "model_tags"),
        (Model, MODELS, "tags.team = 't7' AND tags.rare7 != 'y'", "model_tags"),
        (Version, VERSIONS, "tags.team = 't7'", "version_tags"),
        (Version, VERSIONS, "tags.rare7 ILIKE 'X'", "version_tags"),
        (Run, RUNS, "tags.team = 't7'", "run_tags"),
        (Run, RUNS, "params.lr = '7'", "run_params"),
    ],
)
def test_conditions_on_tags_are_answered_by_an_index(many, rows, vocabulary, text, index):
    plan = rows.objects.filter(vocabulary.filter(text)).order_by().explain()
    assert index in plan and "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    "value", ["x' OR '1'='1", "'; DROP TABLE registry_model; --", '"', "\\", "%s", "%(a)s", "x'' y", "{0}"]
)
def test_what_a_filter_says_never_becomes_sql(client, value):
    client.create_registered_model("kept", tags={"k": value})
    quoted = value.replace("'", "''")
    assert [m.name for m in client.search_registered_models(f"tags.k = '{quoted}'")] == ["kept"]
    assert client.search_registered_models(f"tags.k = '{quoted}x'") == []
    assert [m.name for m in client.search_registered_models(f"tags.k LIKE '{quoted}'")] == ["kept"]
