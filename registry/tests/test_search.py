"""Filters over real rows, on whatever database runs the tests."""

import pytest

from registry import services
from registry.domain.actor import SYSTEM
from registry.domain.draft import Point
from registry.domain.roles import Role
from registry.models import Model, Version

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(store):
    """churn 1..3 of team growth, fraud 1 of team risk."""
    made = {}
    for name, team, tags in (("churn", "growth", {"tier": "1"}), ("fraud", "risk", {"tier": "2"})):
        made[name] = services.create_model(name=name, owner_team=team, tags=tags, actor=SYSTEM)
    details = [
        ("churn", 1, 0.8, {"stage": "dev"}, {"depth": 3, "lr": 0.1}, "1.0.0"),
        ("churn", 2, 0.9, {"stage": "prod"}, {"depth": 12, "loss": "log"}, "1.1.0"),
        ("churn", 3, None, {}, {"deep": True}, ""),
        ("fraud", 1, 0.95, {"stage": "prod", "a b": "x"}, {}, "2.0.0"),
    ]
    for name, number, auc, tags, parameters, label in details:
        version = Version.objects.create(
            model=made[name], number=number, digest=f"sha256:{number:064x}", size=number * 10, format="onnx",
            tags=tags, hyperparameters=parameters, label=label, dataset_digest="d1", git_sha="abcdef1",
            parent=Version.objects.filter(model=made[name]).order_by("-number").first(),
        )  # fmt: skip
        if auc is not None:
            services.add_metrics(version=version, points=[Point("auc", auc)], actor=SYSTEM)
    services.set_alias(
        model=made["churn"], name="champion", version=Version.objects.get(model=made["churn"], number=2),
        actor=SYSTEM,
    )  # fmt: skip
    return made


@pytest.fixture
def search(api, rows):
    def ask(text, who="viewer", path="/api/v1/versions"):
        answer = api(who).get(path, {"filter": text})
        assert answer.status_code == 200, answer.json()
        return {f"{item['model']}{item['number']}" for item in answer.json()["items"]}

    return ask


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "churn1 churn2 churn3 fraud1"),
        ("metrics.auc > 0.85", "churn2 fraud1"),
        ("metrics.auc <= 0.9", "churn1 churn2"),
        ("metrics.auc in (0.8, 0.95)", "churn1 fraud1"),
        ("not metrics.auc exists", "churn3"),
        ("not metrics.auc > 0.85", "churn1 churn3"),
        ("metrics.auc != 0.9", "churn1 fraud1"),
        ('tags.stage = "prod"', "churn2 fraud1"),
        ('tags.stage != "prod"', "churn1"),
        ('not tags.stage = "prod"', "churn1 churn3"),
        ('tags.stage ~ "RO"', "churn2 fraud1"),
        ('tags.stage !~ "ro"', "churn1"),
        ('tags.stage in ("dev", "x")', "churn1"),
        ('tags."a b" exists', "fraud1"),
        ('tags."a b" = "x"', "fraud1"),
        ('tags.stag = "eprod"', ""),
        ('tags.stageprod = ""', ""),
        ("params.depth > 5", "churn2"),
        ("params.depth >= 3 and params.depth < 12", "churn1"),
        ("params.deep = true", "churn3"),
        ("params.deep > 0", ""),
        ("params.loss > 1", ""),
        ('params.loss = "log"', "churn2"),
        ("params.depth != 3", "churn2"),
        ("params.depth in (3, 4)", "churn1"),
        ("params.lr exists", "churn1"),
        ('model = "churn" and number in (1, 3)', "churn1 churn3"),
        ('team ~ "RIS"', "fraud1"),
        ('alias = "champion"', "churn2"),
        ("alias exists", "churn2"),
        ('alias != "champion" and model = "churn"', "churn1 churn3"),
        ('label ~ "1." and not label = "1.0.0"', "churn2"),
        ("not label exists", "churn3"),
        ("number > 1 or size = 10", "churn1 churn2 churn3 fraud1"),
        ("number > 999999999999999999", ""),
        ('created > "2020-01-01" and created < "2020-01-02T00:00:00Z"', ""),
        ("parent = 1", "churn2"),
        ('git_sha = "abcdef1" and format != "onnx"', ""),
        ('tags."\' or 1=1 --" exists', ""),
        ('tags."a\\"b" exists', ""),
        ('notes = "" or notes ~ "%"', "churn1 churn2 churn3 fraud1"),
        ('label ~ "%"', ""),
    ],
)
def test_a_filter_finds(search, text, found):
    assert search(text) == set(found.split())


def test_the_versions_and_the_models_of_one_list_are_filtered_too(api, rows, search):
    assert search("number < 3", path="/api/v1/models/churn/versions") == {"churn1", "churn2"}
    client = api("viewer")

    def models(text):
        return {m["name"] for m in client.get("/api/v1/models", {"filter": text}).json()["items"]}

    assert models('tags.tier = "2"') == {"fraud"}
    assert models('tags.tier = "2" or alias exists') == {"churn", "fraud"}
    assert models('team = "growth" and versions = 0') == {"churn"}
    assert models('name ~ "RAU"') == {"fraud"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nothing = 1", "'nothing' is not a field"),
        ("number = 1.5", "whole number"),
        ("number ~ 1", "number is a number, which knows no '~'"),
        ("number = true", "whole number"),
        ("label = 1", "in quotes"),
        ("label.x = 'a'", "has no parts"),
        ("metrics > 1", "which of the metrics"),
        ("metrics.auc ~ 'x'", "compared with a number"),
        ("tags.a > 'x'", "knows no '>'"),
        ("created > 'soon'", "moment"),
        ("created < '0001-01-01T00:00:00+14:00'", "moment"),
        ("created > '2026-99-01'", "moment"),
        ("metrics.auc exists exists", "cannot be read"),
    ],
)
def test_a_filter_that_means_nothing_is_a_problem(api, rows, text, told):
    answer = api("viewer").get("/api/v1/versions", {"filter": text})
    assert (
        answer.status_code == 400 and told in answer.json()["detail"] and answer.json()["field"] == "filter"
    )


def test_search_reaches_what_may_be_viewed_and_turns_pages_by_key(api, rows, cast, search):
    services.grant_role(user=cast["outsider"], role=Role.VIEWER, team="growth", actor=SYSTEM)
    assert search("", who="outsider") == {"churn1", "churn2", "churn3"}
    client, seen, after = api("viewer"), [], None
    while True:
        page = client.get("/api/v1/versions", {"limit": 2} | ({"after": after} if after else {})).json()
        seen += [(item["model"], item["number"]) for item in page["items"]]
        if (after := page["next"]) is None:
            break
    assert seen == [("fraud", 1), ("churn", 3), ("churn", 2), ("churn", 1)]


def test_versions_of_a_deleted_model_are_not_found(search, rows):
    services.delete_model(model=rows["fraud"], actor=SYSTEM)
    assert search("number = 1") == {"churn1"}


def test_lineage_names_ancestors_children_and_the_same_data(api, rows, django_assert_max_num_queries):
    client = api("viewer")
    with django_assert_max_num_queries(11):
        found = client.get("/api/v1/models/churn/versions/2/lineage").json()
    assert [v["number"] for v in found["ancestors"]] == [1]
    assert [v["number"] for v in found["children"]] == [3]
    assert [v["number"] for v in found["same_dataset"]] == [3, 1]
    assert found["git_sha"] == "abcdef1" and found["dataset"]["digest"] == "d1"
    deep = client.get("/api/v1/models/churn/versions/3/lineage").json()
    assert [v["number"] for v in deep["ancestors"]] == [2, 1]


def test_the_page_searches_and_says_what_it_could_not_read(web, rows):
    client = web("viewer")
    page = client.get("/versions/", {"filter": "metrics.auc > 0.85"}).content.decode()
    assert "churn v2" in page and "fraud v1" in page and "churn v1" not in page
    wrong = client.get("/versions/", {"filter": "metrics.auc >"})
    assert wrong.status_code == 400 and "cannot be read" in wrong.content.decode()
    assert Model.objects.count() == 2


def test_lists_show_a_version_as_it_shows_itself(api, version):
    client = api("viewer")
    whole = client.get("/api/v1/models/churn/versions/1").json()
    for large in ("profile", "inspection", "progress"):
        del whole[large]
    for url in ("/api/v1/models/churn/versions", "/api/v1/versions"):
        [shown] = client.get(url).json()["items"]
        assert {k: v for k, v in shown.items() if whole.get(k) != v} == {} and set(shown) == set(whole)
