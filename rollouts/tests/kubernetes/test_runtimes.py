"""Other model servers: what is checked of a template before it is used, and what becomes of it in a pod."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from deploy.serving import fetch
from rollouts.adapters.kubernetes import manifests, triton
from rollouts.adapters.kubernetes.companions import companions
from rollouts.adapters.kubernetes.target import parse
from rollouts.tests.kubernetes.test_kubernetes import ONE, world

PLAIN = {"image": "plain@sha256:1", "command": ["serve"], "args": ["{file}", "--name={model}-{version}"]}
OWNER = {"metadata": {"name": "churn-production-v1", "uid": "u"}}
TABLE = {
    "inputs": [{"name": "X", "dtype": "float32", "shape": ["N", 3]}],
    "outputs": [{"name": "label", "dtype": "int64", "shape": ["N"]}],
}


def target(runtime="plain", template=PLAIN, **given):
    default = {"image": "ours", "runtime": runtime, **given}
    return parse({"default": default, "runtimes": {"plain": template}}).default


def test_a_template_becomes_the_server_and_our_image_only_fetches():
    pod = manifests.deployment(world(), ONE, "s3://models/one", target())["spec"]["template"]["spec"]
    (fetcher,), (server,) = pod["initContainers"], pod["containers"]
    assert (fetcher["image"], server["image"]) == ("ours", "plain@sha256:1")
    assert server["args"] == ["/models/churn/1/model.onnx", "--name=churn-1"]
    assert fetcher["args"][-2:] == ["--place", "/models/churn/1/model.onnx"]
    assert server["readinessProbe"]["httpGet"]["path"] == "/"
    assert server["securityContext"]["readOnlyRootFilesystem"]
    assert [mount["name"] for mount in server["volumeMounts"]] == ["models", "tmp"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image": ""}, "runtimes.plain.image"),
        ({"port": 0}, "runtimes.plain.port"),
        ({"port": "http"}, "runtimes.plain.port"),
        ({"ready": "ready"}, "runtimes.plain.ready"),
        ({"args": ["{modle}"]}, "{modle} is not known"),
        ({"args": ["{"]}, "runtimes.plain.args"),
        ({"args": [7]}, "runtimes.plain.args"),
        ({"file": "../{model}"}, "does not lie under /models"),
        ({"file": "{file}"}, "{file} is not known"),
        ({"metrics": {"their_total": "requests"}}, "runtimes.plain.metrics.their_total"),
        ({"entrypoint": ["x"]}, "runtimes.plain.entrypoint: there is no such field"),
    ],
)
def test_a_template_is_checked_before_it_is_used(change, says):
    with pytest.raises(ImproperlyConfigured) as refused:
        target(template={**PLAIN, **change})
    assert says in str(refused.value)


def test_a_runtime_that_nobody_described_or_without_an_image_is_refused():
    with pytest.raises(ImproperlyConfigured, match="default.runtime: there is no 'torch'"):
        target("torch")
    with pytest.raises(ImproperlyConfigured, match="default.runtime_image"):
        target("triton")


def test_triton_gets_a_repository_with_a_configuration_made_of_the_signature():
    there = target("triton", runtime_image="triton@sha256:2", gpus=1)
    pod = manifests.deployment(world(), ONE, "s3://models/one", there)["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["args"][-5:] == [
        "--place", "/models/churn/1/model.onnx",
        "--copy", "/etc/slipway/config.pbtxt", "/models/churn/config.pbtxt",
    ]  # fmt: skip
    assert pod["containers"][0]["command"] == ["tritonserver"]
    files = companions(world(), ONE, there, OWNER)[0]["data"]
    assert 'platform: "onnxruntime_onnx"' in files["config.pbtxt"]


def test_batches_are_formed_when_every_tensor_has_a_free_first_dimension():
    assert triton.config("churn", TABLE, gpus=0) == (
        'name: "churn"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 64\n'
        'input [\n  { name: "X" data_type: TYPE_FP32 dims: [3] }\n]\n'
        'output [\n  { name: "label" data_type: TYPE_INT64 dims: [1] reshape: { shape: [ ] } }\n]\n'
        "dynamic_batching { }\n"
        "instance_group [ { count: 1 kind: KIND_CPU } ]\n"
    )
    fixed = {**TABLE, "inputs": [{"name": "X", "dtype": "float32", "shape": [1, 3, None]}]}
    text = triton.config("churn", fixed, gpus=1)
    assert "max_batch_size: 0" in text and "dims: [1, 3, -1]" in text and "KIND_GPU" in text
    assert "dynamic_batching" not in text


@pytest.mark.parametrize(
    "signature", [{}, {"inputs": [{"name": "X", "dtype": "seq(map(int64))", "shape": []}]}]
)
def test_what_is_no_tensor_is_left_to_triton_to_read_from_the_model(signature):
    assert "input [" not in triton.config("churn", signature, gpus=0)


def test_tritons_counters_are_read_under_our_names():
    there = target("triton", runtime_image="triton@sha256:2", pod_monitor=True)
    (scraped,) = companions(world(), ONE, there, OWNER)[-1]["spec"]["podMetricsEndpoints"]
    rules = [
        (rule["regex"], rule["targetLabel"], rule["replacement"]) for rule in scraped["metricRelabelings"]
    ]
    assert scraped["port"] == "metrics"
    assert rules[:2] == [
        ("nv_inference_request_success", "status", "ok"),
        ("nv_inference_request_success", "__name__", "model_predictions_total"),
    ]
    assert {rule["targetLabel"] for rule in scraped["relabelings"]} == {"endpoint", "version"}


def test_the_init_step_puts_the_artifact_where_the_server_looks(tmp_path):
    artifact, config = tmp_path / "one", tmp_path / "config.pbtxt"
    artifact.write_bytes(b"model")
    config.write_text("name")
    place, beside = tmp_path / "models" / "1" / "model.onnx", tmp_path / "models" / "config.pbtxt"
    arguments = ["--artifact", str(artifact), "--digest", "", "--cache", str(tmp_path / "cache")]
    assert fetch.main([*arguments, "--place", str(place), "--copy", str(config), str(beside)]) == 0
    assert (place.read_bytes(), beside.read_text()) == (b"model", "name")
