import json

import pytest

from deploy.files import BadFile
from deploy.fleet.spec import parse_desired
from deploy.fleet.tests.cast import DIGEST, workload

ITEM = {
    "version": "3", "digest": DIGEST, "artifact": "/models/3.onnx", "replicas": 2, "threads": 1, "warmup": 32,
    "histograms": {"inputs": [], "outputs": []}, "options": {"max_batch": 32, "queue": 256},
}  # fmt: skip


def desired(**changes):
    return parse_desired(
        json.dumps({"endpoint": "d", "model": "m", "workloads": [ITEM]} | changes).encode(), "d"
    )


def with_item(**changes):
    return desired(workloads=[ITEM | changes])


def test_a_desired_file_is_read():
    (found,) = desired().workloads
    assert found.key == ("d", "3")
    assert (found.model, found.replicas, found.warmup) == ("m", 2, 32)
    assert found.options == (("max_batch", 32), ("queue", 256))


@pytest.mark.parametrize("place", ["s3://models/one", "https://models.example.org/one"])
def test_an_artifact_may_be_behind_a_url(place):
    assert with_item(artifact=place).workloads[0].artifact == place


def test_replicas_threads_warmup_histograms_and_options_have_defaults():
    least = {key: ITEM[key] for key in ("version", "digest", "artifact")}
    (found,) = desired(workloads=[least]).workloads
    assert (found.replicas, found.threads, found.warmup, found.histograms, found.options) == (
        1,
        1,
        0,
        None,
        (),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"digest": "md5:1"}, "workloads[0].digest: must be sha256:"),
        ({"artifact": "model.onnx"}, "workloads[0].artifact: must be an absolute path"),
        ({"artifact": "ftp://models/3.onnx"}, "workloads[0].artifact: must be an absolute path or a URL"),
        ({"artifact": None}, "workloads[0].artifact: must be a text"),
        ({"replicas": -1}, "workloads[0].replicas"),
        ({"replicas": 1.5}, "workloads[0].replicas"),
        ({"replicas": True}, "workloads[0].replicas"),
        ({"threads": 0}, "workloads[0].threads"),
        ({"warmup": "many"}, "workloads[0].warmup"),
        ({"version": "1/2"}, "workloads[0].version"),
        ({"histograms": []}, "workloads[0].histograms"),
        ({"options": {"gpu": 1}}, "workloads[0].options.gpu: unknown"),
        ({"options": {"queue": "long"}}, "workloads[0].options.queue: must be a number"),
        ({"options": 7}, "workloads[0].options: must be an object"),
    ],
)
def test_a_bad_workload_is_refused_with_the_path_of_the_field(changes, words):
    with pytest.raises(BadFile) as caught:
        with_item(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "other"},
        {"model": 3},
        {"workloads": None},
        {"workloads": [3]},
        {"workloads": [ITEM, ITEM]},
    ],
)
def test_a_bad_document_is_refused(changes):
    with pytest.raises(BadFile):
        desired(**changes)


def test_the_number_of_replicas_is_no_reason_to_restart_servers():
    assert workload(replicas=1).revision == workload(replicas=5).revision


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "sha256:" + "b" * 64}, {"artifact": "/b"}, {"threads": 2}, {"warmup": 1}, {"histograms": "{}"},
        {"options": (("queue", 1),)}, {"model": "other"},
    ],
)  # fmt: skip
def test_all_that_a_server_is_started_with_makes_its_revision(changes):
    assert workload(**changes).revision != workload().revision


def test_the_file_s_revision_follows_its_content():
    assert desired().revision == desired().revision
    assert desired().revision != with_item(replicas=3).revision
