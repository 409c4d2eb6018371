"""The real MlflowClient, method by method, against Slipway."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException, RestException

from registry.models import Model, Version

S3 = "s3://bucket/model"


def code(error) -> str:
    return error.value.error_code


@pytest.fixture
def churn(client):
    client.create_registered_model("churn", {"team": "growth"}, "who leaves")
    return client


def test_registered_models_live_and_die(churn):
    found = churn.get_registered_model("churn")
    assert (found.name, found.tags, found.description) == ("churn", {"team": "growth"}, "who leaves")
    assert churn.update_registered_model("churn", "new").description == "new"
    churn.set_registered_model_tag("churn", "k", "")
    churn.delete_registered_model_tag("churn", "team")
    churn.delete_registered_model_tag("churn", "never there")
    assert churn.get_registered_model("churn").tags == {"k": ""}
    churn.rename_registered_model("churn", "with spaces, äöü")
    assert churn.get_registered_model("with spaces, äöü").name == "with spaces, äöü"
    churn.delete_registered_model("with spaces, äöü")
    with pytest.raises(RestException) as error:
        churn.delete_registered_model("with spaces, äöü")
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"


def test_versions_live_and_die(churn):
    first = churn.create_model_version("churn", S3, "run", {"a": "1"}, description="one")
    assert (first.version, first.status, first.description) == ("1", "READY", "one")
    assert "outside Slipway's artifact store" in first.status_message
    churn.create_model_version("churn", S3)
    churn.set_model_version_tag("churn", "1", "b", "2")
    churn.delete_model_version_tag("churn", "1", "a")
    assert churn.update_model_version("churn", "1", "more").description == "more"
    assert churn.get_model_version("churn", "1").tags == {"b": "2"}
    assert churn.get_model_version_download_uri("churn", "1") == S3
    churn.set_registered_model_alias("churn", "champion", "2")
    churn.delete_model_version("churn", "2")
    assert churn.get_registered_model("churn").aliases == {}
    assert churn.create_model_version("churn", S3).version == "3"
    with pytest.raises(RestException) as error:
        churn.get_model_version("churn", "2")
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"


def test_aliases_move_and_go(churn):
    for _ in range(2):
        churn.create_model_version("churn", S3)
    churn.set_registered_model_alias("churn", "challenger", "1")
    churn.set_registered_model_alias("churn", "challenger", "2")
    assert churn.get_model_version_by_alias("churn", "challenger").version == "2"
    assert churn.get_model_version_by_alias("churn", "latest").version == "2"
    churn.delete_registered_model_alias("churn", "challenger")
    churn.delete_registered_model_alias("churn", "challenger")
    with pytest.raises(RestException) as error:
        churn.get_model_version_by_alias("churn", "challenger")
    assert code(error) == "INVALID_PARAMETER_VALUE"
    for alias in ("latest", "v1", "a b", ""):
        with pytest.raises(MlflowException):
            churn.set_registered_model_alias("churn", alias, "1")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_stages_are_kept_as_deprecated_labels(churn):
    for _ in range(3):
        churn.create_model_version("churn", S3)
    churn.transition_model_version_stage("churn", "1", "production")
    churn.transition_model_version_stage("churn", "2", "Production", archive_existing_versions=True)
    found = {version.current_stage: version.version for version in churn.get_latest_versions("churn")}
    assert found == {"Archived": "1", "Production": "2", "None": "3"}
    assert [v.version for v in churn.get_latest_versions("churn", ["Production"])] == ["2"]
    for stage, archive in (("Nowhere", False), ("None", True)):
        with pytest.raises(RestException) as error:
            churn.transition_model_version_stage("churn", "1", stage, archive)
        assert code(error) == "INVALID_PARAMETER_VALUE"


def test_a_copy_keeps_the_source_of_its_original(churn):
    churn.create_model_version("churn", S3, tags={"a": "1"})
    churn.copy_model_version("models:/churn/1", "copy")
    assert churn.get_model_version("copy", "1").source == "models:/churn/1"
    assert churn.get_model_version_download_uri("copy", "1") == S3


ERRORS = {
    "a model that exists": (lambda c: c.create_registered_model("churn"), "RESOURCE_ALREADY_EXISTS"),
    "a name with a slash": (lambda c: c.create_registered_model("a/b"), "INVALID_PARAMETER_VALUE"),
    "a blank name": (lambda c: c.create_registered_model("  "), "INVALID_PARAMETER_VALUE"),
    "a name with NUL": (lambda c: c.create_registered_model("a\x00b"), "INVALID_PARAMETER_VALUE"),
    "a long name": (lambda c: c.create_registered_model("a" * 257), "INVALID_PARAMETER_VALUE"),
    "a rename to a taken name": (lambda c: c.rename_registered_model("churn", "other"), "RESOURCE_ALREADY_EXISTS"),
    "a missing model": (lambda c: c.get_registered_model("none"), "RESOURCE_DOES_NOT_EXIST"),
    "a version of no model": (lambda c: c.create_model_version("none", S3), "RESOURCE_DOES_NOT_EXIST"),
    "a version that is no number": (lambda c: c.get_model_version("churn", "x"), "INVALID_PARAMETER_VALUE"),
    "a version beyond all": (lambda c: c.get_model_version("churn", "9" * 30), "RESOURCE_DOES_NOT_EXIST"),
    "a tag with a bad key": (lambda c: c.set_registered_model_tag("churn", "a$", "x"), "INVALID_PARAMETER_VALUE"),
    "a filter that is none": (lambda c: c.search_registered_models("name ~ 'x'"), "INVALID_PARAMETER_VALUE"),
    "a filter by stage": (lambda c: c.search_model_versions("current_stage = 'x'"), "INVALID_PARAMETER_VALUE"),
    "an order that is none": (lambda c: c.search_model_versions(order_by=["nothing"]), "INVALID_PARAMETER_VALUE"),
    "an order said twice": (
        lambda c: c.search_registered_models(order_by=["name", "name DESC"]), "INVALID_PARAMETER_VALUE",
    ),
    "a token of nothing": (lambda c: c.search_registered_models(page_token="x"), "INVALID_PARAMETER_VALUE"),
    "a local path": (lambda c: c.create_model_version("churn", "/etc/passwd"), "INVALID_PARAMETER_VALUE"),
    "a path that climbs": (lambda c: c.create_model_version("churn", "s3://b/a/../c"), "INVALID_PARAMETER_VALUE"),
    "a path that climbs, encoded": (
        lambda c: c.create_model_version("churn", "s3://b/a/%252e%252e/c"), "INVALID_PARAMETER_VALUE",
    ),
    "a foreign web page": (lambda c: c.create_model_version("churn", "http://h/x"), "INVALID_PARAMETER_VALUE"),
    "somebody's artifacts": (
        lambda c: c.create_model_version("churn", "mlflow-artifacts:/1/x"), "INVALID_PARAMETER_VALUE",
    ),
    "an alias for ever": (lambda c: c.set_registered_model_alias("churn", "v1", "1"), "INVALID_PARAMETER_VALUE"),
    "an alias of nothing": (lambda c: c.set_registered_model_alias("churn", "a", "1"), "RESOURCE_DOES_NOT_EXIST"),
    "no such alias": (lambda c: c.get_model_version_by_alias("churn", "a"), "INVALID_PARAMETER_VALUE"),
    "no such stage": (lambda c: c.transition_model_version_stage("churn", "1", "x"), "INVALID_PARAMETER_VALUE"),
    "a stage of nothing": (
        lambda c: c.transition_model_version_stage("churn", "1", "Staging"), "RESOURCE_DOES_NOT_EXIST",
    ),
    "no such stages": (lambda c: c.get_latest_versions("churn", ["x"]), "INVALID_PARAMETER_VALUE"),
    "too many at once": (lambda c: c.search_registered_models(max_results=1001), "INVALID_PARAMETER_VALUE"),
    "too many versions": (lambda c: c.search_model_versions(max_results=200_001), "INVALID_PARAMETER_VALUE"),
    # The client's own word for the server's 404.
    "a copy of nothing": (lambda c: c.copy_model_version("models:/churn/1", "other"), "INTERNAL_ERROR"),
    **{f"{name} of a missing version": (
        lambda c, name=name, more=more: getattr(c, name)("churn", "7", *more), "RESOURCE_DOES_NOT_EXIST",
    ) for name, more in {
        "update_model_version": ["text"], "delete_model_version": [], "get_model_version": [],
        "set_model_version_tag": ["k", "v"], "delete_model_version_tag": ["k"],
        "get_model_version_download_uri": [],
    }.items()},
    **{f"{name} of a missing model": (
        lambda c, name=name, more=more: getattr(c, name)("none", *more), "RESOURCE_DOES_NOT_EXIST",
    ) for name, more in {
        "update_registered_model": ["text"], "rename_registered_model": ["new"], "delete_registered_model": [],
        "set_registered_model_tag": ["k", "v"], "delete_registered_model_tag": ["k"],
        "set_registered_model_alias": ["a", "1"], "delete_registered_model_alias": ["a"],
        "get_model_version_by_alias": ["a"], "get_latest_versions": [],
    }.items()},
}  # fmt: skip
METHODS = re.compile("registered_model|model_version|latest_versions")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_is_wrong_is_told_with_mlflows_codes_and_never_as_a_fault_of_the_server(churn):
    churn.create_registered_model("other")
    for what, (call, expected) in ERRORS.items():
        with pytest.raises(MlflowException) as error:
            call(churn)
        assert (what, code(error)) == (what, expected)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_registry_method_of_the_client_is_called_by_these_tests(churn):
    assert churn.get_model_version_stages("churn", "1") == ["None", "Staging", "Production", "Archived"]
    methods = {name for name in dir(churn) if not name.startswith("_") and METHODS.search(name)}
    written = Path(__file__).read_text()
    assert sorted(name for name in methods if f".{name}(" not in written) == []
    # Each but those that only read or search is also called wrongly.
    spoken = written[written.index("ERRORS = {") : written.index("METHODS = ")]
    assert {name for name in methods if name not in spoken} == {"get_model_version_stages"}


def test_pages_over_2500_versions_hold_each_once(churn):
    model = Model.objects.get(name="churn")
    Version.objects.bulk_create(
        [
            Version(
                model=model, number=number, size=0, source=S3, state="recorded", tags={"n": str(number % 7)}
            )
            for number in range(1, 2501)
        ],
        batch_size=250,
    )
    seen, token = [], None
    while True:
        page = churn.search_model_versions("name = 'churn'", max_results=400, page_token=token)
        seen += [int(version.version) for version in page]
        token = page.token
        if not token:
            break
    assert sorted(seen) == list(range(1, 2501)) and len(seen) == 2500
    page = churn.search_model_versions(
        "name = 'churn' AND tags.n = '3' AND version_number <= 100", order_by=["version_number ASC"]
    )
    assert [int(version.version) for version in page] == list(range(3, 101, 7))
    assert churn.get_registered_model("churn").latest_versions[0].version == "2500"


def test_runs_log_and_are_found(client):
    from mlflow.entities import Metric, Param, RunTag

    experiment = client.create_experiment("first", tags={"a": "b"})
    run = client.create_run(experiment, run_name="one").info.run_id
    client.log_batch(
        run,
        [Metric("loss", 1 / (n + 1), n, n) for n in range(900)],
        [Param("lr", "0.1")],
        [RunTag("kind", "x")],
    )
    client.log_metric(run, "nan", float("nan"))
    client.log_metric(run, "inf", float("inf"))
    client.log_metric(run, "loss", 5.0, timestamp=1, step=1)
    history = client.get_metric_history(run, "loss")
    assert len(history) == 901 and history[-1].value == 1 / 900
    data = client.get_run(run).data
    assert data.params == {"lr": "0.1"} and data.metrics["loss"] == 1 / 900
    assert str(data.metrics["nan"]) == "nan" and data.metrics["inf"] == float("inf")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run, "lr", "0.2")
    for text in (
        "metrics.loss < 0.1",
        "params.lr LIKE '0%'",
        "tags.kind = 'x' AND attributes.run_name = 'one'",
    ):
        assert [found.info.run_id for found in client.search_runs([experiment], text)] == [run]
    assert not client.search_runs([experiment], "tags.absent != 'x'")
    assert [e.name for e in client.search_experiments(filter_string="tags.a = 'b'")] == ["first"]
    client.set_terminated(run)
    assert client.get_run(run).info.status == "FINISHED"


def test_tags_of_logged_models_come_and_go(client):
    number = client.create_experiment("logged")
    model = client.create_logged_model(number, "m").model_id
    client.set_logged_model_tags(model, {"a": "b"})
    # This DELETE has neither a body nor a content type.
    client.delete_logged_model_tag(model, "a")
    assert "a" not in client.get_logged_model(model).tags


def test_the_history_of_10000_points_comes_in_pages(client):
    from mlflow.entities import Metric

    run = client.create_run("0").info.run_id
    for start in range(0, 10_000, 1000):
        client.log_batch(run, [Metric("loss", n, n, n) for n in range(start, start + 1000)])
    assert [point.step for point in client.get_metric_history(run, "loss")] == list(range(10_000))


def test_points_that_are_sent_again_are_kept_once_and_the_new_ones_beside_them_too(client):
    from mlflow.entities import Metric

    run = client.create_run("0").info.run_id
    first, second = range(20), range(10, 30)
    for steps in (first, first, second):
        client.log_batch(run, [Metric(key, n, n, n) for n in steps for key in ("loss", "auc")])
    client.log_batch(run, [Metric("loss", 50, 50, 50)] * 2)
    for key, steps in (("loss", [*range(30), 50]), ("auc", [*range(30)])):
        assert [point.step for point in client.get_metric_history(run, key)] == steps
        assert client.get_run(run).data.metrics[key] == steps[-1]
