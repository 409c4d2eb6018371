"""The filter language: what MLflow's own store finds, Slipway finds; what nobody can read is told, never a fault."""

from __future__ import annotations

import itertools
import json
import logging
import random

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from registry.errors import Invalid
from registry.mlflow.search.grammar import Condition, parse_filter, parse_order
from registry.models import Model, Version

KEYS = ("team", "a.b", "with space", "0", "mlflow.x")
VALUES = ("red", "Red", "blue%", "b_ue", "", "it's", 'say "x"', "*", "[a]")
NAMES = ("churn", "Churn", "price_1", "price-2", "ünder")


def test_conditions_are_read_with_their_kinds_and_quotes():
    text = """name ILIKE 'a%' and tags.`odd key` != "it's" AND params.lr IN ('1', '2') AND metrics.loss >= -1.5e3
    AND tag.x IS NOT NULL AND attribute.run_id NOT IN ('q')"""
    assert parse_filter(text) == (
        Condition("", "name", "ILIKE", "a%"),
        Condition("tags", "odd key", "!=", "it's"),
        Condition("params", "lr", "IN", ("1", "2")),
        Condition("metrics", "loss", ">=", -1500.0),
        Condition("tag", "x", "IS NOT NULL", None),
        Condition("attribute", "run_id", "NOT IN", ("q",)),
    )
    assert parse_filter("  ") == ()


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name =",
        "name = x",
        "a = '1' OR b = '2'",
        "name = 'x';",
        "(name = 'x')",
        "name IN ()",
        "= '1'",
    ],
)
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(Invalid):
        parse_filter(text)


def test_a_direction_is_read_in_any_case_and_a_key_comes_once():
    assert [(o.kind, o.key, o.descending) for o in parse_order(["name desc", "metrics.`a b` ASC"])] == [
        ("", "name", True),
        ("metrics", "a b", False),
    ]
    with pytest.raises(Invalid):
        parse_order(["name", "name DESC"])


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """MLflow's own store on SQLite, with models and versions of every tag."""
    from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    logging.getLogger("alembic").setLevel(logging.ERROR)
    store = SqlAlchemyStore(f"sqlite:///{tmp_path_factory.mktemp('theirs')}/mlflow.db")
    for name, tags, versions in world():
        store.create_registered_model(name, [RegisteredModelTag(*pair) for pair in tags.items()])
        for source, run, tagged in versions:
            pairs = [ModelVersionTag(*pair) for pair in tagged.items()]
            store.create_model_version(name, source, run, pairs)
    return store


def world():
    """The same random models for both: name, tags, versions as (source, run, tags)."""
    chance = random.Random(7)

    def tags():
        return {key: chance.choice(VALUES) for key in KEYS if chance.random() < 0.5}

    return [
        (
            name,
            tags(),
            [(f"s3://b/{chance.choice('abc')}", chance.choice(("r1", "R1", "")), tags()) for _ in range(6)],
        )
        for name in NAMES
    ]


@pytest.fixture
def ours(db):
    for name, tags, versions in world():
        model = Model.objects.create(name=name, tags=tags, last_number=len(versions))
        for number, (source, run, tagged) in enumerate(versions, start=1):
            Version.objects.create(
                model=model,
                number=number,
                size=0,
                state="recorded",
                source=source,
                training_run=run,
                tags=tagged,
            )


@pytest.fixture
def ask(ours, secret_of):
    client = Client(headers={"Authorization": f"Bearer {secret_of('viewer')}"})

    def search(what, text, order=(), limit=1000):
        found, token = [], ""
        while True:
            query = {"filter": text, "order_by": list(order), "max_results": limit, "page_token": token}
            answer = client.get(f"/api/2.0/mlflow/{what}/search", query)
            assert answer.status_code in {200, 400}, answer.content
            if answer.status_code == 400:
                return answer.json()["error_code"]
            body = answer.json()
            found += next((rows for name, rows in body.items() if name != "next_page_token"), [])
            token = body.get("next_page_token", "")
            if not token:
                return found

    return search


def quoted(value):
    return f"'{value}'" if "'" not in value else f'"{value}"'


def tag_filters():
    """Every operator on every key with a value or pattern; quotes that MLflow would read otherwise left out."""
    values = [value for value in VALUES if value and '"' not in value]
    patterns = ["%e%", "r_d", "R%", "%", "blue%", "%*%", "[a]", "it's"]
    for key, (op, value) in itertools.product(
        KEYS, [*itertools.product(("=", "!="), values), *itertools.product(("LIKE", "ILIKE"), patterns)]
    ):
        yield f"tags.`{key}` {op} {quoted(value)}"


def name_filters():
    for op, value in itertools.product(
        ("=", "!=", "LIKE", "ILIKE"), ("churn", "CHURN", "p%", "price_1", "%_%", "ünd%")
    ):
        yield f"name {op} '{value}'"
    yield "name IN ('churn', 'price-2')"


OWN_WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@OWN_WARNINGS
def test_models_are_found_as_by_mlflows_own_store(theirs, ask):
    chance = random.Random(3)
    for text in [*name_filters(), *chance.sample(list(tag_filters()), 25)]:
        expected = sorted(model.name for model in theirs.search_registered_models(text, 100))
        assert (text, sorted(row["name"] for row in ask("registered-models", text))) == (text, expected)


@OWN_WARNINGS
def test_versions_are_found_as_by_mlflows_own_store(theirs, ask):
    chance = random.Random(4)
    single = [*name_filters(), *tag_filters(), "run_id = 'r1'", "run_id LIKE 'R%'", "run_id IN ('r1', 'x')"]
    single += [f"version_number {op} 3" for op in ("=", "!=", "<", "<=", ">", ">=")] + [
        "source_path LIKE '%/a'"
    ]
    texts = [" AND ".join(chance.sample(single, chance.randint(1, 3))) for _ in range(40)]
    for text in texts:
        rows = theirs.search_model_versions(text, 1000)
        expected = sorted((row.name, str(row.version)) for row in rows)
        assert (text, sorted((row["name"], row["version"]) for row in ask("model-versions", text))) == (
            text,
            expected,
        )


@pytest.mark.parametrize("order", [["name DESC"], ["version_number ASC", "name"], ["creation_timestamp"], []])
@pytest.mark.parametrize(("text", "count"), [("", 30), ("name = 'churn'", 6), ("name = 'none'", 0)])
def test_small_pages_give_the_order_of_one_large_page(ask, order, text, count):
    whole = ask("model-versions", text, order)
    assert len(whole) == count
    assert ask("model-versions", text, order, limit=4) == whole


TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
WORDS = st.sampled_from(
    ["name", "tags.", "tags.`a`", "metrics.x", "'", '"', "`", "=", "!=", "LIKE", "ilike", "IN", "(", ")", ",", "AND",
     "NOT", "IS", "NULL", "1", "1e999", "-", "'x'", "'%'", "\\", ";", "--", "version_number", "9" * 30, "\x00", "start_time"]
)  # fmt: skip
NEAR = st.lists(WORDS, max_size=12).map(" ".join)
SEARCHES = {
    "registered-models/search": ("GET", {}),
    "model-versions/search": ("GET", {}),
    "experiments/search": ("POST", {"max_results": 5}),
    "runs/search": ("POST", {"experiment_ids": ["0"]}),
    "logged-models/search": ("POST", {"experiment_ids": ["0"]}),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=NEAR | TEXTS, order=NEAR | TEXTS, token=TEXTS, call=st.sampled_from(sorted(SEARCHES)))
@example(text="a. = 'x'", order="name.", token="", call="experiments/search")
def test_no_filter_order_or_token_makes_the_server_fail(ours, fuzzing, text, order, token, call):
    method, body = SEARCHES[call]
    query = body | {"filter": text, "order_by": [order] if order else [], "page_token": token}
    if call == "logged-models/search":
        query["order_by"] = [{"field_name": order}] if order else []
    path = f"/api/2.0/mlflow/{call}"
    if method == "GET":
        answer = fuzzing.get(path, query)
    else:
        answer = fuzzing.post(path, json.dumps(query), content_type="application/json")
    assert answer.status_code in {200, 400}, (text, order, token, answer.content)


@pytest.fixture
def fuzzing(secret_of):
    return Client(headers={"Authorization": f"Bearer {secret_of('viewer')}"})
