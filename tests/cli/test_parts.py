"""Large files and folders: sent in parts, resumed after a break, verified in the background."""

from __future__ import annotations

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deploy.cli import push, session
from deploy.cli.client import Client
from registry import tasks
from registry.adapters.s3 import S3Store
from registry.models import Upload, Version
from registry.tests import onnx_files, s3
from tests.cli.proxy import network_to

pytestmark = pytest.mark.django_db(transaction=True)


def wide() -> onnx.ModelProto:
    """A model with 1.2 MB of weights."""
    weights = np.random.default_rng(7).normal(size=(3, 100_000)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["y"])],
        "wide",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 100_000])],
        [numpy_helper.from_array(weights, "W")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of 256 KiB, and the background work done whenever the command waits for it."""

    def rest(seconds: float) -> None:
        tasks.work_one() or time.sleep(0.01)

    monkeypatch.setattr("registry.services.uploads.PART", 256 << 10)
    monkeypatch.setattr(push, "PARTS_FROM", 500_000)
    monkeypatch.setattr(session, "Client", lambda access: Client(access, rest=rest))


@pytest.fixture
def large_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(wide().SerializeToString())
    return path


def puts(network) -> list[str]:
    return [text.split()[1].rpartition("/")[2] for text in network.requests if text.startswith("PUT")]


def test_a_large_file_goes_in_parts_and_is_ready_when_the_command_ends(cli, people, large_file):
    line = ("push", str(large_file), "--model", "fresh", "--create", "--metric", "auc=0.9", "--json")
    with network_to(cli.url) as network:
        done = cli(*line, SLIPWAY_URL=network.url)
    assert done.status == 0, done.err
    assert (done.json["state"], done.json["metrics"]) == ("ready", {"auc": 0.9})
    assert puts(network) == ["1", "2", "3", "4", "5"] and "verify model.onnx" in done.err
    again = cli(*line)
    assert (again.status, again.json["number"], again.json["replayed"]) == (0, 1, True)
    assert cli(*line[:-1], "--tag", "a=b", "--json").json["number"] == 2


def test_the_next_run_sends_only_what_is_missing(cli, people, large_file):
    line = ("push", str(large_file), "--model", "fresh", "--create")
    with network_to(cli.url) as network:
        network.answers = 9
        assert cli(*line, SLIPWAY_URL=network.url).status == 7
        sent = set(puts(network))
        arrived = len(sent) - 1
        assert 1 <= arrived < 5 and Upload.objects.count() == 1
        network.answers = None
        network.requests.clear()
        assert cli(*line, SLIPWAY_URL=network.url).status == 0
        assert len(puts(network)) == 5 - arrived
    assert Upload.objects.count() <= 1 and Version.objects.get().state == "ready"


def test_where_the_store_signs_addresses_parts_go_there_without_the_token(
    cli, people, large_file, monkeypatch
):
    with s3.serving() as (address, _), network_to(address) as network:
        store = S3Store(s3.BUCKET, prefix="", client=s3.client_of(network.url))
        monkeypatch.setattr("registry.wiring.artifact_store", lambda: store)
        line = ("push", str(large_file), "--model", "fresh", "--create", "--json")
        done = cli(*line)
        sent = [text for text in network.requests if text.startswith("PUT") and "User-Agent: slipway" in text]
        assert done.status == 0, done.err
        assert len(sent) == 5 and not any("slw_" in text or "Authorization" in text for text in sent)
        target = large_file.with_name("back.onnx")
        assert cli("pull", "fresh", "-o", str(target)).status == 0
        assert target.read_bytes() == large_file.read_bytes()


def test_a_refused_file_says_why(cli, people, tmp_path):
    path = tmp_path / "junk.onnx"
    path.write_bytes(np.random.default_rng(1).bytes(600_000))
    done = cli("push", str(path), "--model", "fresh", "--create")
    assert done.status == 6 and "v1 was refused: " in done.err
    assert cli("pull", "fresh", "1").status == 6
    assert "v1 (refused)" in cli("versions", "fresh").out


def test_nobody_waits_who_does_not_want_to(cli, people, large_file):
    done = cli("push", str(large_file), "--model", "fresh", "--create", "--no-wait", "--json")
    assert (done.status, done.json["state"]) == (0, "pending")
    tasks.work_one()
    assert cli("show", "fresh", "1", "--json").json["state"] == "ready"


def test_a_folder_goes_and_comes_back_as_it_was(cli, people, tmp_path):
    folder = onnx_files.save_apart(wide(), tmp_path / "export" / "model.onnx")
    done = cli("push", str(folder), "--model", "fresh", "--create", "--json")
    assert done.status == 0, done.err
    assert done.json["file_count"] == 2
    target = tmp_path / "back"
    with network_to(cli.url) as network:
        network.cut_after = [10**7, 10**7, 10**7, 400_000]
        assert cli("pull", "fresh", "-o", str(target), SLIPWAY_URL=network.url).status == 0
    for name in ("model.onnx", "weights.bin"):
        assert (target / name).read_bytes() == (folder / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".back")) == []
    assert cli("pull", "fresh", "-o", str(target / "model.onnx")).status == 1


def test_versions_are_searched_by_a_filter(cli, versions):
    cli("metrics", "churn", "2", "--add", "auc=0.9")
    found = cli("search", "metrics.auc > 0.5", "--json").json["items"]
    assert [(item["model"], item["number"]) for item in found] == [("churn", 2)]
    assert cli("versions", "churn", "--filter", "metrics.auc > 0.95", "--json").json["items"] == []
    assert cli("models", "--filter", 'name = "churn"', "--json").json["items"][0]["name"] == "churn"
    assert cli("search", "metrics.auc >").status == 6
    assert cli("lineage", "churn", "2").status == 0
