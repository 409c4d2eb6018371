"""Who is compared: how each server is started for a model, and what is posted to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models import Subject

from tests.peers import PeerUnavailable, environment

HERE = Path(__file__).parent
PORT = 18765
BASE = f"http://127.0.0.1:{PORT}"

Post = tuple[bytes, dict[str, str]]


@dataclass(frozen=True)
class Contender:
    """A server, where it says it is ready, and what to post where."""

    name: str
    command: Callable[[Subject, Path], list[str]]
    ready: str
    url: str
    request: Callable[[Subject], Post]


def slipway(subject: Subject, _: Path) -> list[str]:
    """With histograms of every feature and output, and all other metrics, as it is deployed."""
    return [sys.executable, "-m", "deploy.serving", "--artifact", str(subject.path), "--model", "m",
            "--histograms", str(subject.histograms), "--port", str(PORT), "--threads", "1"]  # fmt: skip


def as_features(subject: Subject) -> Post:
    return json.dumps({"features": subject.values}).encode(), {"content-type": "application/json"}


def as_infer(subject: Subject) -> Post:
    """With an id, which is optional in the protocol; KServe's server fails without one."""
    tensor = {"name": "X", "shape": [1, *subject.shape], "datatype": "FP32", "data": subject.flat}
    return json.dumps({"id": "1", "inputs": [tensor]}).encode(), {"content-type": "application/json"}


def as_binary(subject: Subject, rows: int = 1) -> Post:
    content = subject.row * rows
    tensor = {"name": "X", "shape": [rows, *subject.shape], "datatype": "FP32",
              "parameters": {"binary_data_size": len(content)}}  # fmt: skip
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return head + content, headers


PLAIN = Contender("slipway", slipway, f"{BASE}/health", f"{BASE}/predict", as_features)
INFER = Contender("slipway, OIP JSON", slipway, f"{BASE}/health", f"{BASE}/v2/models/m/infer", as_infer)
BINARY = Contender("slipway, OIP binary", slipway, f"{BASE}/health", f"{BASE}/v2/models/m/infer", as_binary)


def fastapi(python: Path) -> Contender:
    """The service that tutorials show, on uvicorn with uvloop and httptools."""
    command = [str(python), "-m", "uvicorn", "naive_fastapi:app", "--app-dir", str(HERE / "peers"),
               "--port", str(PORT), "--no-access-log", "--log-level", "error"]  # fmt: skip
    return Contender("FastAPI", lambda *_: command, f"{BASE}/health", f"{BASE}/predict", as_features)


def mlserver(python: Path) -> Contender:
    """MLServer, in one process: its worker processes only cost on one core."""

    def command(subject: Subject, folder: Path) -> list[str]:
        settings = {"debug": False, "parallel_workers": 0, "http_port": PORT, "grpc_port": PORT + 1,
                    "metrics_port": PORT + 2, "host": "127.0.0.1"}  # fmt: skip
        (folder / "settings.json").write_text(json.dumps(settings))
        model = {"name": "m", "implementation": "mlserver_model.OnnxModel"}
        (folder / "model-settings.json").write_text(json.dumps(model))
        return [str(python.parent / "mlserver"), "start", str(folder)]

    return Contender("MLServer", command, f"{BASE}/v2/models/m/ready", f"{BASE}/v2/models/m/infer", as_infer)


def kserve(python: Path) -> Contender:
    """KServe's Python server."""
    command = [str(python), str(HERE / "peers" / "kserve_model.py")]
    return Contender(
        "KServe", lambda *_: command, f"{BASE}/v2/health/ready", f"{BASE}/v2/models/m/infer", as_infer
    )


PEERS = {"fastapi": fastapi, "mlserver": mlserver, "kserve": kserve}


def peers(names: list[str]) -> list[Contender]:
    """Those whose environments are there or can be made; the others are left out with a line that says so."""
    found = []
    for name in names:
        pinned = HERE / "peers" / f"{name}.txt"
        try:
            # The tests have an environment of KServe's client under the shorter name.
            python = environment("kserve-server" if name == "kserve" else name, pinned)
        except PeerUnavailable as error:
            print(f"left out, since its environment could not be made: {error}")
        else:
            found.append(PEERS[name](python))
    return found
