"""Other model servers as data: what to start, where the artifact goes, what its metrics mean.

`triton` is built in; others stand under `runtimes` in SLIPWAY_KUBERNETES_FILE, checked when it is read.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from rollouts import documents

MODELS = "/models"
PLACES = frozenset({"model", "version", "endpoint", "digest", "artifact", "file"})
# What {artifact} is: the name by which servers know a file or folder of each format. Formats that execute
# code when they are loaded (pickle, joblib, checkpoints) are none of them.
NAMES = {
    "onnx": "model.onnx",
    "torchscript": "model.pt",
    "savedmodel": "model.savedmodel",
    "tensorrt": "model.plan",
    "gguf": "model.gguf",
    "safetensors": "model.safetensors",
}
# What other names may be mapped to: what the gates read.
OURS = frozenset(
    {
        "model_predictions_total", "model_prediction_seconds_bucket", "model_prediction_seconds_count",
        "model_queue_depth", "model_gpu_utilization_ratio", "model_gpu_memory_bytes",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Renamed:
    """A metric of theirs as one of ours, with the labels that ours has.

    where: only series whose labels match these expressions get the labels.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runtime:
    """One kind of model server. Its texts may name {model}, {version}, {endpoint}, {digest} and {artifact}.

    formats, folders: what it loads from a single file and from a folder. file: where the artifact is put
    under /models; {file} in the arguments is that path. config: where under /models the generated
    config.pbtxt goes; empty for none. beside: further files under /models, their texts by path. ready, live:
    paths that answer 200. metrics_port: 0 = the port itself. metrics: their counters by name, as ours.
    serving_runtime: KServe's ServingRuntime that has the image and the arguments; the model lies under
    /mnt/models then.
    """

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 8080
    ready: str = "/"
    live: str = "/"
    formats: tuple[str, ...] = ("onnx",)
    folders: tuple[str, ...] = ()
    file: str = "{model}/{version}/{artifact}"
    config: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    metrics_port: int = 0
    metrics_path: str = "/metrics"
    metrics: Mapping[str, tuple[Renamed, ...]] = field(default_factory=dict)
    serving_runtime: str = ""

    def filled(self, text: str, values: Mapping[str, str]) -> str:
        """`text` with its places filled in."""
        return text.format(**values, file=f"{MODELS}/{self.file.format(**values)}")


TRITON = Runtime(
    command=("tritonserver",),
    args=(f"--model-repository={MODELS}", "--http-port=8000", "--metrics-port=8002", "--exit-on-error=true"),
    port=8000,
    ready="/v2/health/ready",
    live="/v2/health/live",
    formats=("onnx", "torchscript", "tensorrt"),
    folders=("onnx", "savedmodel"),
    config="{model}/config.pbtxt",
    metrics_port=8002,
    metrics={
        "nv_inference_request_success": (Renamed("model_predictions_total", {"status": "ok"}),),
        "nv_inference_request_failure": (Renamed("model_predictions_total", {"status": "error"}),),
        "nv_inference_pending_request_count": (Renamed("model_queue_depth"),),
        "nv_gpu_utilization": (Renamed("model_gpu_utilization_ratio"),),
        "nv_gpu_memory_used_bytes": (Renamed("model_gpu_memory_bytes"),),
    },
)
# TensorFlow Serving: https://www.tensorflow.org/tfx/serving/serving_config. A model that is not loaded has no
# metadata, and nothing of it is counted without a monitoring configuration.
_MONITORING = "{model}.monitoring"
_COUNTED = ":tensorflow:serving:request_count"
TENSORFLOW_SERVING = Runtime(
    command=("tensorflow_model_server",),
    args=(
        "--port=0",
        "--rest_api_port=8501",
        "--model_name={model}",
        f"--model_base_path={MODELS}/{{model}}",
        f"--monitoring_config_file={MODELS}/{_MONITORING}",
    ),
    port=8501,
    ready="/v1/models/{model}/metadata",
    live="/monitoring/prometheus/metrics",
    formats=(),
    folders=("savedmodel",),
    file="{model}/{version}",
    beside={_MONITORING: 'prometheus_config {{ enable: true path: "/monitoring/prometheus/metrics" }}\n'},
    metrics_path="/monitoring/prometheus/metrics",
    metrics={
        _COUNTED: (
            Renamed("model_predictions_total", {"status": "error"}, {"status": "[^O].*|O[^K].*"}),
            Renamed("model_predictions_total", {"status": "ok"}, {"status": "OK"}),
        )
    },
)
BUILT_IN = {"triton": TRITON, "tensorflow-serving": TENSORFLOW_SERVING}


def parse_runtimes(document: Mapping[str, Any]) -> dict[str, Runtime]:
    """The built-in ones and those of the file; ImproperlyConfigured names the wrong field."""
    found = dict(BUILT_IN)
    for name, given in document.items():
        path = f"runtimes.{name}"
        found[str(name)] = _runtime(documents.mapping(given, path), path)
    return found


def _runtime(given: Mapping[str, Any], path: str) -> Runtime:
    read = documents.values(given, Runtime(), path)
    read["metrics"] = {
        theirs: _all_renamed(ours, f"{path}.metrics.{theirs}")
        for theirs, ours in read.get("metrics", {}).items()
    }
    runtime = Runtime(**read)
    _check(runtime, path)
    return runtime


def _all_renamed(given: Any, path: str) -> tuple[Renamed, ...]:
    found = tuple(_renamed(one, path) for one in (given if isinstance(given, list) else [given]))
    if len({one.name for one in found}) != 1:
        raise ImproperlyConfigured(
            f"{path}: all of the list must have one `name`; a series becomes one series."
        )
    return found


def _renamed(given: Any, path: str) -> Renamed:
    named = given if isinstance(given, Mapping) else {"name": given}
    sets = [named.get(name, {}) for name in ("labels", "where")]
    unknown = set(named) - {"name", "labels", "where"}
    if named.get("name") not in OURS or unknown or not all(isinstance(one, Mapping) for one in sets):
        raise ImproperlyConfigured(
            f"{path}: {given!r} is none of ours with labels: write {{name: model_predictions_total, "
            f"labels: {{status: ok}}}}. Known: {', '.join(sorted(OURS))}."
        )
    labels, where = ({str(name): str(value) for name, value in one.items()} for one in sets)
    return Renamed(named["name"], labels, where)


def _check(runtime: Runtime, path: str) -> None:
    """What would only be seen when a pod does not start."""
    if not (runtime.image or runtime.serving_runtime):
        raise ImproperlyConfigured(f"{path}.image: it must be named.")
    for name in ("port", "metrics_port"):
        least = 0 if name == "metrics_port" else 1
        if not least <= getattr(runtime, name) <= 65535:
            raise ImproperlyConfigured(f"{path}.{name}: {getattr(runtime, name)} is not a port.")
    for name in ("ready", "live", "metrics_path"):
        found = getattr(runtime, name)
        if not found.startswith("/"):
            raise ImproperlyConfigured(f"{path}.{name}: {found!r} does not begin with a slash.")
    for name in ("command", "args"):
        for text in getattr(runtime, name):
            _check_places(text, f"{path}.{name}", PLACES)
    for name in ("env", "beside"):
        for key, text in getattr(runtime, name).items():
            _check_places(text, f"{path}.{name}.{key}", PLACES)
    _check_formats(runtime, path)
    for name in ("ready", "live"):
        _check_places(getattr(runtime, name), f"{path}.{name}", PLACES)
    for name, places in (("file", [runtime.file]), ("config", [runtime.config]), ("beside", runtime.beside)):
        for place in places:
            _check_places(place, f"{path}.{name}", PLACES - {"file"})
            if place.startswith("/") or ".." in place.split("/"):
                raise ImproperlyConfigured(f"{path}.{name}: {place!r} does not lie under {MODELS}.")


def _check_formats(runtime: Runtime, path: str) -> None:
    if not (runtime.formats or runtime.folders):
        raise ImproperlyConfigured(
            f"{path}.formats: it loads nothing; name formats of files, or of `folders`."
        )
    for name in ("formats", "folders"):
        if unknown := [code for code in getattr(runtime, name) if code not in NAMES]:
            raise ImproperlyConfigured(
                f"{path}.{name}: {unknown[0]!r} is no format that is served. Known: {', '.join(NAMES)}."
            )


def _check_places(text: Any, path: str, known: frozenset[str]) -> None:
    try:
        places = {place for _, place, _, _ in string.Formatter().parse(text) if place is not None}
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"{path}: {text!r}: {error}. Write {{{{ for a brace.") from error
    if unknown := sorted(places - known):
        raise ImproperlyConfigured(
            f"{path}: {{{unknown[0]}}} is not known; {{{{ is a brace. Known: {', '.join(sorted(known))}."
        )
