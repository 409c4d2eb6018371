"""Other model servers as data: what to start, where the artifact goes, what its metrics mean.

`triton` is built in; others stand under `runtimes` in SLIPWAY_KUBERNETES_FILE, checked when it is read.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.core.exceptions import ImproperlyConfigured

MODELS = "/models"
PLACES = frozenset({"model", "version", "endpoint", "digest", "file"})
# What other names may be mapped to: what the gates read.
OURS = frozenset(
    {"model_predictions_total", "model_prediction_seconds_bucket", "model_prediction_seconds_count"}
)


@dataclass(frozen=True, slots=True)
class Renamed:
    """A metric of theirs as one of ours, with the labels that ours has."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runtime:
    """One kind of model server. Its texts may name {model}, {version}, {endpoint} and {digest}.

    file: where the artifact is put under /models; {file} in the arguments is that path. config: where
    under /models the generated config.pbtxt goes; empty for none. ready, live: paths that answer 200.
    metrics_port: 0 = the port itself. metrics: their counters by name, as ours.
    """

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    port: int = 8080
    ready: str = "/"
    live: str = "/"
    file: str = "{model}/{version}/model.onnx"
    config: str = ""
    metrics_port: int = 0
    metrics_path: str = "/metrics"
    metrics: Mapping[str, Renamed] = field(default_factory=dict)

    def filled(self, text: str, values: Mapping[str, str]) -> str:
        """`text` with its places filled in."""
        return text.format(**values, file=f"{MODELS}/{self.file.format(**values)}")


TRITON = Runtime(
    command=("tritonserver",),
    args=(f"--model-repository={MODELS}", "--http-port=8000", "--metrics-port=8002", "--exit-on-error=true"),
    port=8000,
    ready="/v2/health/ready",
    live="/v2/health/live",
    config="{model}/config.pbtxt",
    metrics_port=8002,
    metrics={
        "nv_inference_request_success": Renamed("model_predictions_total", {"status": "ok"}),
        "nv_inference_request_failure": Renamed("model_predictions_total", {"status": "error"}),
    },
)


def parse_runtimes(document: Mapping[str, Any]) -> dict[str, Runtime]:
    """The built-in ones and those of the file; ImproperlyConfigured names the wrong field."""
    found = {"triton": TRITON}
    for name, given in document.items():
        if not isinstance(given, Mapping):
            raise ImproperlyConfigured(f"runtimes.{name}: {given!r} is not a mapping.")
        found[str(name)] = _runtime(given, f"runtimes.{name}")
    return found


def _runtime(given: Mapping[str, Any], path: str) -> Runtime:
    shapes = {item.name: type(getattr(Runtime(), item.name)) for item in fields(Runtime)}
    read: dict[str, Any] = {}
    for name, value in given.items():
        if name not in shapes:
            raise ImproperlyConfigured(
                f"{path}.{name}: there is no such field. Known: {', '.join(sorted(shapes))}."
            )
        value = tuple(value) if isinstance(value, list) else value
        wanted = Mapping if name == "metrics" else shapes[name]
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ImproperlyConfigured(f"{path}.{name}: {value!r} is not a {wanted.__name__}.")
        read[name] = value
    read["metrics"] = {
        theirs: _renamed(ours, f"{path}.metrics.{theirs}") for theirs, ours in read.get("metrics", {}).items()
    }
    runtime = Runtime(**read)
    _check(runtime, path)
    return runtime


def _renamed(given: Any, path: str) -> Renamed:
    named = given if isinstance(given, Mapping) else {"name": given}
    labels = named.get("labels", {})
    if named.get("name") not in OURS or set(named) - {"name", "labels"} or not isinstance(labels, Mapping):
        raise ImproperlyConfigured(
            f"{path}: {given!r} is none of ours with labels: write {{name: model_predictions_total, "
            f"labels: {{status: ok}}}}. Known: {', '.join(sorted(OURS))}."
        )
    return Renamed(named["name"], {str(name): str(value) for name, value in labels.items()})


def _check(runtime: Runtime, path: str) -> None:
    """What would only be seen when a pod does not start."""
    if not runtime.image:
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
    for name in ("file", "config"):
        _check_places(getattr(runtime, name), f"{path}.{name}", PLACES - {"file"})
    if runtime.file.startswith("/") or ".." in runtime.file.split("/"):
        raise ImproperlyConfigured(f"{path}.file: {runtime.file!r} does not lie under {MODELS}.")


def _check_places(text: Any, path: str, known: frozenset[str]) -> None:
    try:
        places = {place for _, place, _, _ in string.Formatter().parse(text) if place is not None}
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"{path}: {text!r}: {error}. Write {{{{ for a brace.") from error
    if unknown := sorted(places - known):
        raise ImproperlyConfigured(
            f"{path}: {{{unknown[0]}}} is not known. Known: {', '.join(sorted(known))}."
        )
