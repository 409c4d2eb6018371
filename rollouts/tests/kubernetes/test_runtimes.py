"""Other model servers: what is checked of a template before it is used, and what becomes of it in a pod."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from django.core.exceptions import ImproperlyConfigured

from deploy.serving import fetch
from registry.adapters.filesystem import FilesystemStore
from registry.models import Version
from registry.services.content import store_path
from rollouts import services
from rollouts.adapters.kubernetes import KubernetesCluster, manifests, triton
from rollouts.adapters.kubernetes.companions import companions
from rollouts.adapters.kubernetes.target import parse
from rollouts.domain.serves import OURS
from rollouts.errors import Invalid
from rollouts.tests.kubernetes.stand_in import Cluster, running
from rollouts.tests.kubernetes.test_kubernetes import ONE, world

PLAIN = {"image": "plain@sha256:1", "command": ["serve"], "args": ["{file}", "--name={model}-{version}"]}
SCRIPT = replace(ONE, format="torchscript", signature={
    "inputs": [{"name": "INPUT__0", "dtype": "float32", "shape": [None, 3]}],
    "outputs": [{"name": "OUTPUT__0", "dtype": "float32", "shape": [None, 2]}],
})  # fmt: skip
SAVED = replace(SCRIPT, format="savedmodel", folder=True)
PLAN = replace(SCRIPT, format="tensorrt")
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
        ({"formats": ["pickle"]}, "runtimes.plain.formats: 'pickle' is no format that is served"),
        ({"formats": []}, "runtimes.plain.formats: it loads nothing"),
        ({"beside": {"../x": "text"}}, "runtimes.plain.beside"),
        ({"beside": {"x": "{"}}, "runtimes.plain.beside.x"),
        (
            {"metrics": {"t": ["model_predictions_total", "model_prediction_seconds_count"]}},
            "must have one `name`",
        ),
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
    for theirs, ours in (
        ("nv_inference_pending_request_count", "model_queue_depth"),
        ("nv_gpu_utilization", "model_gpu_utilization_ratio"),
        ("nv_gpu_memory_used_bytes", "model_gpu_memory_bytes"),
    ):
        assert relabelled({"__name__": theirs}, scraped["metricRelabelings"]) == {"__name__": ours}


@pytest.mark.parametrize(
    ("release", "file", "platform"),
    [
        (PLAN, "model.plan", "tensorrt_plan"),
        (SCRIPT, "model.pt", "pytorch_libtorch"),
        (SAVED, "model.savedmodel", "tensorflow_savedmodel"),
        (replace(ONE, folder=True), "model.onnx", "onnxruntime_onnx"),
    ],
)
def test_triton_finds_each_format_under_the_name_that_its_backend_looks_for(release, file, platform):
    there = target("triton", runtime_image="triton@sha256:2", gpus=1)
    pod = manifests.deployment(world(), release, "s3://models/one", there)["spec"]["template"]["spec"]
    arguments = pod["initContainers"][0]["args"]
    assert arguments[arguments.index("--place") + 1] == f"/models/churn/1/{file}"
    assert ("--folder" in arguments) is release.folder
    config = companions(world(), release, there, OWNER)[0]["data"]["config.pbtxt"]
    assert f'platform: "{platform}"' in config
    # A plan tells Triton its tensors and the batches that it was built for.
    assert ("input [" in config) is (release.format in ("torchscript", "savedmodel"))


def test_what_a_server_cannot_load_is_refused_before_anything_is_created():
    triton_ = target("triton", runtime_image="triton@sha256:2", gpus=1).serves
    asked = [(release.format, release.folder, release.signature) for release in (ONE, PLAN, SCRIPT, SAVED)]
    assert [triton_.refusal(*one) for one in asked] == ["", "", "", ""]
    assert OURS.refusal("onnx", True, {}) == OURS.refusal("onnx", False, {}) == ""
    assert "is gguf as a single file; triton runs onnx as a single file" in triton_.refusal("gguf", False, {})
    assert "register it with `signature`" in triton_.refusal("torchscript", False, {})
    without = target("triton", runtime_image="triton@sha256:2").serves
    assert "is tensorrt as a single file; triton without a GPU runs" in without.refusal("tensorrt", False, {})
    tensorflow = target("tensorflow-serving", runtime_image="tf@sha256:3").serves
    assert tensorflow.refusal("savedmodel", True, {}) == ""
    assert "tensorflow-serving without a GPU runs savedmodel as a folder" in tensorflow.refusal(
        "onnx", False, {}
    )


def test_an_environment_that_was_given_another_runtime_creates_nothing_and_says_why():
    kube = Cluster()
    with running(kube) as (namespace, where, _):
        cluster = KubernetesCluster(where, lambda _: namespace)
        cluster.apply(world(releases=(SAVED,)), {SAVED.digest: "s3://models/one"})
        status = cluster.observe("churn-production")["1"]
    assert (status.failed, kube.objects) == (True, {})
    assert status.message.startswith("nothing is created: the version is savedmodel as a folder")


@pytest.mark.django_db
def test_the_door_asks_the_environments_own_runtime(versions, author, settings, tmp_path):
    file = tmp_path / "targets.yaml"
    file.write_text(
        "tf: {cluster: kubernetes, router: istio, options: "
        "{image: ours, runtime: tensorflow-serving, runtime_image: tf@sha256:3}}"
    )
    settings.SLIPWAY_TARGETS_FILE = str(file)
    onnx = versions[0]
    plain = Version.objects.create(
        model=onnx.model, number=4, digest="sha256:4", size=1, format="savedmodel", file_count=3
    )
    tensorflow = services.create_environment(name="production", target="tf", actor=author)
    ours = services.create_environment(name="staging", actor=author)
    with pytest.raises(
        Invalid, match="churn version 1 is onnx as a single file; tensorflow-serving"
    ) as refused:
        services.create_endpoint(name="churn-production", environment=tensorflow, version=onnx, actor=author)
    assert refused.value.field == "version"
    with pytest.raises(
        Invalid,
        match="is savedmodel as a folder; the model server runs onnx as a single file, onnx as a folder",
    ):
        services.create_endpoint(name="churn-staging", environment=ours, version=plain, actor=author)
    services.create_endpoint(name="churn-production", environment=tensorflow, version=plain, actor=author)


def test_tensorflow_serving_gets_a_folder_per_version_and_counts_errors_apart():
    there = target("tensorflow-serving", runtime_image="tf@sha256:3", pod_monitor=True)
    pod = manifests.deployment(world(), SAVED, "s3://models/one", there)["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["args"][-6:] == [
        "--place", "/models/churn/1", "--folder",
        "--copy", "/etc/slipway/beside-0", "/models/churn.monitoring",
    ]  # fmt: skip
    server = pod["containers"][0]
    assert server["readinessProbe"]["httpGet"]["path"] == "/v1/models/churn/metadata"
    files = companions(world(), SAVED, there, OWNER)
    assert files[0]["data"]["beside-0"].startswith("prometheus_config { enable: true")
    rules = files[-1]["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]
    for status, ours in (("OK", "ok"), ("INVALID_ARGUMENT", "error"), ("OUT_OF_RANGE", "error")):
        series = {"__name__": ":tensorflow:serving:request_count", "status": status}
        assert relabelled(series, rules) == {"__name__": "model_predictions_total", "status": ours}


def relabelled(series, rules):
    """What Prometheus makes of a series: each rule in turn, its expression on the whole of the joined labels."""
    found = dict(series)
    for rule in rules:
        joined = ";".join(found.get(label, "") for label in rule["sourceLabels"])
        if re.fullmatch(rule["regex"], joined):
            found[rule["targetLabel"]] = rule["replacement"]
    return found


def test_the_torchserve_template_of_the_docs_is_one(request):
    text = (request.config.rootpath / "docs" / "kubernetes.md").read_text()
    document = next(
        found
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        if "torchserve" in (found := yaml.safe_load(block)).get("runtimes", {})
    )
    there = parse(document).default
    files = companions(world(), SCRIPT, there, OWNER)[0]["data"]
    listed = json.loads(files["beside-0"])
    assert listed["model"]["serializedFile"] == "model.pt"
    pod = manifests.deployment(world(), SCRIPT, "s3://models/one", there)["spec"]["template"]["spec"]
    assert "/models/churn/model.pt" in pod["initContainers"][0]["args"]
    assert there.serves.refusal("torchscript", False, {}) == ""


@pytest.fixture
def folder(tmp_path):
    """A SavedModel in a store of files: where its list is, and the digest of the list."""
    place = tmp_path / "saved"
    for name, content in {"saved_model.pb": b"graph", "variables/variables.data-0": b"weights"}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    store = FilesystemStore(tmp_path / "store")
    kept = store_path(place, store)
    return store.path_or_uri(kept.digest), kept.digest, place


def test_the_init_step_fetches_every_file_of_a_folder(tmp_path, folder):
    location, digest, place = folder
    target_ = tmp_path / "models" / "churn" / "1"
    arguments = ["--artifact", location, "--digest", digest, "--cache", str(tmp_path / "cache")]
    assert fetch.main([*arguments, "--place", str(target_), "--folder"]) == 0
    found = {str(path.relative_to(target_)) for path in target_.rglob("*") if path.is_file()}
    assert found == {"saved_model.pb", "variables/variables.data-0"}
    assert (target_ / "variables" / "variables.data-0").read_bytes() == b"weights"


def test_a_file_of_a_folder_that_is_not_what_the_list_says_is_never_served(tmp_path, folder, capsys):
    location, digest, _ = folder
    weights = next(
        path for path in (tmp_path / "store").rglob("*") if path.is_file() and path.read_bytes() == b"weights"
    )
    weights.chmod(0o644)
    weights.write_bytes(b"other")
    arguments = ["--artifact", location, "--digest", digest, "--cache", str(tmp_path / "cache")]
    assert fetch.main([*arguments, "--place", str(tmp_path / "models"), "--folder"]) == fetch.NEVER
    assert "expected sha256:" in capsys.readouterr().err


def test_the_init_step_puts_the_artifact_where_the_server_looks(tmp_path):
    artifact, config = tmp_path / "one", tmp_path / "config.pbtxt"
    artifact.write_bytes(b"model")
    config.write_text("name")
    place, beside = tmp_path / "models" / "1" / "model.onnx", tmp_path / "models" / "config.pbtxt"
    arguments = ["--artifact", str(artifact), "--digest", "", "--cache", str(tmp_path / "cache")]
    assert fetch.main([*arguments, "--place", str(place), "--copy", str(config), str(beside)]) == 0
    assert (place.read_bytes(), beside.read_text()) == (b"model", "name")
