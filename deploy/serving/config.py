"""The server's options: flags, or SLIPWAY_SERVING_<FLAG> in the environment; flags win."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "SLIPWAY_SERVING_"
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})
EXECUTIONS = ("auto", "inline", "thread")
BINDINGS = ("auto", "on", "off")
PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that can be set from outside; field names are the flags' names."""

    artifact: str = ""
    models: Path | None = None
    repository: bool = False
    grpc_port: int = -1
    model: str = "model"
    model_version: str = "1"
    endpoint: str = ""
    digest: str = ""
    histograms: Path | None = None
    latency: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    threads: int = 0
    warmup: int = 32
    max_batch: int = 0
    batch_delay_ms: float = 0.0
    queue: int = 256
    deadline_ms: float = 10_000.0
    drain_seconds: float = 10.0
    keep_alive_seconds: int = 75
    max_body_bytes: int = 16 * 1024 * 1024
    max_pending_bytes: int = 256 * 1024 * 1024
    max_rows: int = 1024
    compress_bytes: int = 0
    allow_nan: bool = False
    access_log: bool = False
    execution: str = "auto"
    provider: str = "auto"
    io_binding: str = "auto"
    histogram_rate: float = 1.0
    histogram_columns: int = 0
    cache: Path | None = None
    api_keys: Path | None = None
    response_cache: int = 0
    sample_url: str = ""
    sample_rate: float = 0.01
    sample_token_file: Path | None = None
    sample_token: str = field(default="", repr=False)
    sample_segment: str = ""


def _at_least(kind: Callable[[str], Any], minimum: float) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = kind(text)
        # `not >=` rather than `<`: it also refuses nan.
        if not value >= minimum:
            raise argparse.ArgumentTypeError(f"{text} is not at least {minimum:g}")
        return value

    parse.__name__ = kind.__name__
    return parse


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (0 to 65535)")
    return value


def _grpc_port(text: str) -> int:
    return -1 if text == "-1" else _port(text)


def _switch(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in TRUE | FALSE:
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return lowered in TRUE


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to 1")
    return value


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(names)}")
        return text

    return parse


_FLAGS: tuple[tuple[str, Callable[[str], Any], str], ...] = (
    ("artifact", str, "the ONNX file: a path, or an http(s):// or s3:// URL"),
    ("models", Path, "JSON file of several models to serve, with options of their own"),
    ("repository", _switch, "answer /v2/repository: load and unload models while running (on, off)"),
    ("model", str, "name of the model, as clients and metrics know it"),
    ("model-version", str, "version of the model, as clients and metrics know it"),
    ("endpoint", str, "name of the endpoint, for metrics (default: the model's name)"),
    ("digest", str, "sha256:<hex> the artifact must have; anything else exits with code 3"),
    ("histograms", Path, "JSON file with the edges of the input and output histograms"),
    ("latency", Path, "JSON file with the version's run times by batch size, for the default of max-batch"),
    ("host", str, "address to listen on"),
    ("port", _port, "port to listen on; 0 takes a free one and prints it"),
    ("grpc-port", _grpc_port, "port for gRPC; 0 takes a free one and prints it; -1 = no gRPC"),
    ("threads", _at_least(int, 0), "threads of one model run; 0 = as many as the CPU limit allows"),
    ("warmup", _at_least(int, 0), "runs before the server says it is ready"),
    (
        "max-batch",
        _at_least(int, 0),
        "rows of requests that share a run; 0 = by measured run times",
    ),
    ("batch-delay-ms", _at_least(float, 0), "how long a busy server waits to fill a batch"),
    ("queue", _at_least(int, 1), "requests that may wait; one more is answered with 503"),
    ("deadline-ms", _at_least(float, 1), "a request older than this is answered with 504"),
    ("drain-seconds", _at_least(float, 0), "longest time to finish requests after SIGTERM"),
    ("keep-alive-seconds", _at_least(int, 1), "how long an idle connection stays open"),
    ("max-body-bytes", _at_least(int, 1), "largest request body, after decompression"),
    ("max-pending-bytes", _at_least(int, 1), "bodies of all requests that are not answered yet"),
    ("max-rows", _at_least(int, 1), "most rows in one request"),
    (
        "compress-bytes",
        _at_least(int, 0),
        "least size of answers that are compressed; 0 = none",
    ),
    ("allow-nan", _switch, "let NaN, infinity and null through to the model (on, off)"),
    ("access-log", _switch, "one JSON line per prediction on stdout (on, off)"),
    ("execution", _one_of(EXECUTIONS), "inline, thread, or auto: by the time the model takes at warm-up"),
    ("provider", _one_of(PROVIDERS), "cpu, cuda, tensorrt, or auto: cuda where there is one"),
    ("io-binding", _one_of(BINDINGS), "on, off, or auto: where the provider has memory of its own"),
    ("histogram-rate", _share, "share of the runs whose values are counted in the histograms"),
    ("histogram-columns", _at_least(int, 0), "most columns of one tensor in the histograms; 0 = all listed"),
    ("cache", Path, "folder for artifacts that are fetched, by digest; needed for URLs"),
    ("api-keys", Path, "JSON file of API keys and their rate limits; without it anybody may ask"),
    ("response-cache", _at_least(int, 0), "answers to keep for repeated inputs; 0 = none"),
    ("sample-url", str, "the control plane that gets sampled predictions; without it none are sampled"),
    ("sample-rate", _share, "share of the requests to sample, by the hash of their id"),
    ("sample-token-file", Path, f"file with the token for it; or {PREFIX}SAMPLE_TOKEN in the environment"),
    ("sample-segment", str, "request parameters or headers that say whose request it is, with commas"),
)


def refused(name: str, value: object) -> str:
    """Why the option `name` cannot have this value, as its flag would say it; empty if it can."""
    kind = next(kind for flag, kind, _ in _FLAGS if flag.replace("-", "_") == name)
    try:
        kind(str(value))
    except (argparse.ArgumentTypeError, ValueError) as error:
        return str(error)
    return ""


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.serving", description="Serve one ONNX model.", allow_abbrev=False
    )
    defaults = {item.name: item.default for item in fields(Options)}
    for flag, kind, text in _FLAGS:
        name = flag.replace("-", "_")
        variable = PREFIX + name.upper()
        # argparse runs `type` on string defaults, so the environment is checked like a flag.
        default = environ.get(variable, defaults[name])
        parser.add_argument(f"--{flag}", type=kind, default=default, metavar=name.upper(), help=text)
    return parser


def parse_options(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> Options:
    """Read the options; a bad one ends the process with code 2 and a line that names it."""
    parser = _parser(environ)
    values = vars(parser.parse_args(argv))
    if not values["artifact"] and not values["models"]:
        parser.error(f"--artifact (or {PREFIX}ARTIFACT) is required: the path or URL of the ONNX file; "
                     "or --models, a file that lists several")  # fmt: skip
    # A secret on a command line is one that everybody on the machine can read.
    values["sample_token"] = environ.get(f"{PREFIX}SAMPLE_TOKEN", "")
    values["endpoint"] = values["endpoint"] or values["model"]
    return Options(**values)
