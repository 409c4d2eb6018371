"""Models, versions, files and errors: the command line against a live server."""

from __future__ import annotations

import hashlib
import json
import os
import time

import numpy as np
import pytest

from deploy.cli import session
from deploy.cli.client import Client
from registry.domain.actor import SYSTEM
from registry.models import ApiToken, Version
from registry.tests import onnx_files
from rollouts import environments
from tests.cli.conftest import ENDPOINT
from tests.cli.proxy import network_to

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Nobody waits long between two tries."""
    monkeypatch.setattr(
        session, "Client", lambda access: Client(access, rest=lambda seconds: time.sleep(min(seconds, 0.05)))
    )


def test_a_push_records_everything_that_was_said(cli, versions, onnx_file, tmp_path):
    (tmp_path / "requirements.txt").write_text("# pins\nnumpy==2.0\n\n-e .\nonnx==1.18\n")
    (tmp_path / "meta.yaml").write_text("hyperparameters: {depth: 1, eta: 0.1}\nframework: xgboost\n")
    done = cli(
        "push", str(onnx_file), "--model", "churn", "--metric", "auc=0.91", "--git-sha", "abcdef1",
        "--param", "depth=6", "--param", 'layers=[3,4]', "--tag", "owner=ada", "--label", "1.4.0", "--parent", "3",
        "--requirements", str(tmp_path / "requirements.txt"), "--metadata", str(tmp_path / "meta.yaml"),
        "--alias", "candidate", "-m", "weekly",
    )  # fmt: skip
    digest = hashlib.sha256(onnx_file.read_bytes()).hexdigest()
    assert done.status == 0 and f"churn v4 registered: sha256:{digest}" in done.out
    assert "push model.onnx: " in done.err and "\r" not in done.err
    version = Version.objects.get(number=4)
    assert version.hyperparameters == {"depth": 6, "layers": [3, 4], "eta": 0.1}
    assert (version.label, version.git_sha, version.framework) == ("1.4.0", "abcdef1", "xgboost")
    assert version.dependencies == ["numpy==2.0", "onnx==1.18"] and version.parent.number == 3
    shown = cli("show", "churn", "candidate")
    assert "auc  0.91" in shown.out and f"sha256:{digest}" in shown.out


def test_a_version_gets_its_baseline_later(cli, people, onnx_file, tmp_path):
    rows = tmp_path / "rows.npz"
    rows.write_bytes(onnx_files.reference(X=np.random.default_rng(0).normal(size=(30, 3))))
    assert cli("push", str(onnx_file), "--model", "fresh", "--create").status == 0
    done = cli("baseline", "fresh", "latest", str(rows), "-m", "forgotten")
    assert (done.status, done.out) == (0, "fresh v1: profile of 30 rows from rows.npz\n")
    assert Version.objects.get(model__name="fresh").profile["rows"] == 30
    again = cli("baseline", "fresh", "1", str(onnx_file))
    assert again.status == 6 and "never changes" in again.err


def test_the_same_push_again_registers_nothing_new(cli, people, onnx_file):
    push = ("push", str(onnx_file), "--model", "fresh", "--create", "--team", "growth", "--json")
    first, second = cli(*push), cli(*push)
    assert (first.json["number"], first.json["replayed"]) == (1, False)
    assert (second.json["number"], second.json["replayed"]) == (1, True)
    assert cli(*push, "--metric", "auc=0.5").json["number"] == 2


def test_a_push_whose_answer_was_lost_registers_once(cli, people, onnx_file):
    with network_to(cli.url) as network:
        network.cut_after = [10**6, 10**6, 0]
        done = cli("push", str(onnx_file), "--model", "fresh", "--create", SLIPWAY_URL=network.url)
    assert done.status == 0, done.err
    assert Version.objects.count() == 1
    uploads = [text for text in network.requests if text.startswith("POST") and "/versions" in text]
    assert len(uploads) >= 2


def test_a_push_to_a_model_that_is_not_there_says_how_to_make_it(cli, people, onnx_file):
    done = cli("push", str(onnx_file), "--model", "nowhere")
    assert done.status == 4 and "--create" in done.err


def test_a_file_that_is_no_model_is_refused_with_the_servers_words(cli, versions, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x80\x04x.")
    done = cli("push", str(path), "--model", "churn", "--json")
    problem = json.loads(done.err.splitlines()[-1])
    assert done.status == 6 and (problem["field"], problem["exit"]) == ("artifact", 6)


@pytest.fixture
def large(cli, versions, tmp_path):
    """A version of 3 MB whose content lies in the store; what it is does not matter here."""
    content = os.urandom(3_000_000)
    digest = hashlib.sha256(content).hexdigest()
    place = tmp_path / "artifacts" / "objects" / digest[:2] / digest
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    Version.objects.create(
        model=versions[0].model, number=4, digest=f"sha256:{digest}", size=len(content), format="onnx"
    )
    return content


def test_a_download_that_is_cut_off_goes_on_and_is_verified(cli, large, tmp_path):
    target = tmp_path / "got.onnx"
    with network_to(cli.url) as network:
        network.cut_after = [10**6, 1_000_000, 700_000]
        done = cli("pull", "churn", "4", "-o", str(target), SLIPWAY_URL=network.url)
    assert done.status == 0, done.err
    assert target.read_bytes() == large and list(tmp_path.glob(".got*")) == []
    ranges = [text for text in network.requests if "Range: bytes=" in text]
    assert len(ranges) == 2, "it went on, and did not start over"


def test_the_next_run_goes_on_with_what_came(cli, large, tmp_path):
    target = tmp_path / "got.onnx"
    digest = hashlib.sha256(large).hexdigest()
    part = tmp_path / f".got.onnx.{digest[-16:]}.part"
    part.write_bytes(large[:2_000_000])
    with network_to(cli.url) as network:
        assert cli("pull", "churn", "4", "-o", str(target), SLIPWAY_URL=network.url).status == 0
    assert any("Range: bytes=2000000-" in text for text in network.requests)
    assert target.read_bytes() == large and not part.exists()


def test_what_came_damaged_is_not_kept(cli, large, tmp_path):
    target = tmp_path / "got.onnx"
    part = tmp_path / f".got.onnx.{hashlib.sha256(large).hexdigest()[-16:]}.part"
    part.write_bytes(b"x" * 2_000_000)
    done = cli("pull", "churn", "4", "-o", str(target))
    assert done.status == 1 and "has the digest" in done.err
    assert not target.exists() and not part.exists()
    assert cli("pull", "churn", "4", "-o", str(target)).status == 0


def test_a_file_that_is_there_is_left_alone(cli, large, tmp_path):
    target = tmp_path / "got.onnx"
    target.write_bytes(b"mine")
    assert cli("pull", "churn", "4", "-o", str(target)).status == 1 and target.read_bytes() == b"mine"
    assert cli("pull", "churn", "4", "-o", str(target), "--force").status == 0
    assert cli("pull", "churn", "4", "-o", str(target), "--json").json["was_there"] is True


def test_versions_are_listed_compared_noted_and_named(cli, versions):
    assert cli("metrics", "churn", "2", "--add", "auc=0.9").status == 0
    assert cli("metrics", "churn", "3", "--add", "auc=0.8", "--step", "7").status == 0
    assert "7     0.8" in cli("metrics", "churn", "3", "--name", "auc").out
    assert cli("alias", "set", "churn", "candidate", "2").status == 0
    assert [row.split()[0] for row in cli("versions", "churn").out.splitlines()] == [
        "VERSION",
        "v3",
        "v2",
        "v1",
    ]
    compared = cli("compare", "churn", "candidate", "latest").out.splitlines()
    assert compared[1].split() == ["metrics.auc", "0.9", "0.8"]
    assert cli("note", "churn", "3", "do not use", "--tag", "state=bad").status == 0
    assert "do not use" in cli("show", "churn").out and "state=bad" in cli("show", "churn").out
    assert cli("alias", "list", "churn", "--json").json["items"][0]["version"] == 2
    assert cli("alias", "delete", "churn", "candidate").status == 0
    assert cli("models", "--json").json["items"][0]["name"] == "churn"


@pytest.mark.parametrize(
    ("line", "who", "status", "words"),
    [
        ("show churn bogus", "viewer", 4, "no version or alias 'bogus'"),
        ("show nowhere", "viewer", 4, "no model named 'nowhere'"),
        ("show churn 99", "viewer", 4, "no version 99"),
        ("endpoint nowhere", "viewer", 4, "no endpoint 'nowhere'"),
        ("rollout status 4711", "viewer", 4, "no rollout 4711"),
        (f"rollout status {ENDPOINT}", "viewer", 4, "never had a rollout"),
        (f"rollout start {ENDPOINT} 2 -m x", "viewer", 5, "start_rollout"),
        ("alias set churn champion 2", "engineer", 5, "promote"),
        (f"rollout start {ENDPOINT} 1 -m x", "engineer", 6, "version: "),
        (f"rollout start {ENDPOINT} 2 -m x --set steps=[50,5]", "engineer", 6, "parameters.steps[1]: "),
        (f"rollout start {ENDPOINT} 2 -m x --strategy yolo", "engineer", 6, "strategy: "),
        (f"rollout start {ENDPOINT} 2 -m x --set steps", "engineer", 2, "NAME=VALUE"),
        (f"rollout start {ENDPOINT} 2", "engineer", 2, "--reason"),
        ("compare churn 1", "viewer", 2, "at least two"),
        ("push /nowhere.onnx --model churn", "engineer", 2, "does not exist"),
        ("api POST environments -d {}", "admin", 6, "name: This field is required."),
        ("api GET nonsense", "admin", 4, "nonsense"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_status_and_says_where(cli, endpoint, line, who, status, words):
    done = cli(*line.split(), who=who)
    assert (done.status, done.out) == (status, "")
    assert words in done.err and "Traceback" not in done.err


def test_without_a_valid_token_it_is_3(cli):
    assert cli("models", SLIPWAY_TOKEN="slw_unknown").status == 3
    assert "slipway login" in cli("models", SLIPWAY_TOKEN="").err
    ApiToken.objects.all().delete()
    assert cli("models").status == 3
    assert cli("models", SLIPWAY_URL="", SLIPWAY_TOKEN="").status == 3


def test_what_is_wrong_with_the_command_line_is_2_and_json_where_json_is_wanted(cli, versions):
    for line in (
        ["push", "/nowhere.onnx", "--model", "churn"],
        ["metrics", "churn", "1", "--add", "auc=1e999"],
    ):
        plain, told = cli(*line), cli(*line, "--json")
        assert plain.status == told.status == 2 and plain.err.startswith("Usage: ")
        assert json.loads(told.err)["exit"] == 2 and told.out == ""


def test_where_nobody_answers_it_is_7(cli):
    done = cli("models", SLIPWAY_URL="http://127.0.0.1:1")
    assert done.status == 7 and "refused" in done.err
    done = cli("models", SLIPWAY_URL=f"{cli.url}/healthz")
    assert done.status == 7 and "Is this the address of a Slipway" in done.err


def test_the_routes_of_the_server_are_listed(cli):
    rows = cli("api", "routes", "--json").json["items"]
    assert {"method": "GET", "path": "/api/v1/models"}.items() <= rows[
        [r["path"] for r in rows].index("/api/v1/models")
    ].items()
    assert cli("api", "GET", "/api/v1/me").json["user"] == "engineer"


def test_endpoints_environments_freezes_and_templates_are_shown(cli, endpoint):
    assert ENDPOINT in cli("endpoints").out and "v1" in cli("endpoint", ENDPOINT).out
    assert "default: embedded with gateway" in cli("environments").out
    assert cli("freezes").status == 0 and cli("templates").status == 0
    assert cli("history", ENDPOINT, "--at", "2020-01-01T00:00:00Z").status == 4


def test_an_endpoint_is_made_by_those_who_may_promote(cli, endpoint):
    environments.create_environment(name="eu", actor=SYSTEM)
    asked = ("create-endpoint", "churn-eu", "churn", "latest", "--environment", "eu", "-m", "first")
    assert cli(*asked).status == 5, "an engineer may not"
    done = cli(*asked, who="release_manager")
    assert done.status == 0 and "churn-eu serves churn v" in done.out
    again = cli(*asked, who="release_manager")
    assert again.status == 6 and "There is an endpoint 'churn-eu' already." in again.err
