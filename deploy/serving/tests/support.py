"""The real server as a process, and a client that is as plain as can be."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import models

START_SECONDS = 30
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Process:
    """A running server; `log` holds its stderr."""

    popen: subprocess.Popen[bytes]
    log: Path
    out: Path
    port: int = 0
    grpc_port: int = 0
    model: str = "m"
    version: str = "1"
    extra: dict[str, Any] = field(default_factory=dict)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def predict(self, features: Any, **headers: str) -> Answer:
        return self.request("POST", "/predict", json.dumps({"features": features}).encode(), headers)

    def infer(self, document: dict[str, Any], tail: bytes = b"") -> Answer:
        head = json.dumps(document).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))} if tail else {}
        return self.request("POST", f"/v2/models/{self.model}/infer", head + tail, headers)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(20)


def command(artifact: Path | str, **flags: Any) -> list[str]:
    options = {"artifact": artifact, "model": "m", "port": 0, "threads": 1, "warmup": 4, **flags}
    pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items()]
    return [sys.executable, "-m", "deploy.serving", *(part for pair in pairs for part in pair)]


@contextmanager
def launched(folder: Path, artifact: bytes | Path | str, **flags: Any) -> Iterator[Process]:
    """Start a server without waiting for it; it is killed at the end."""
    path = artifact
    if isinstance(artifact, bytes):
        path = folder / "model.onnx"
        path.write_bytes(artifact)
    log, out = folder / "stderr.log", folder / "stdout.log"
    with log.open("wb") as errors, out.open("wb") as output:
        popen = subprocess.Popen(
            command(path, **flags), cwd=ROOT, stderr=errors, stdout=output, env={**os.environ}
        )
    try:
        yield Process(popen, log, out)
    finally:
        popen.kill()
        popen.wait()


@contextmanager
def running(folder: Path, artifact: bytes | Path | str, **flags: Any) -> Iterator[Process]:
    """A server that said it is ready."""
    with launched(folder, artifact, **flags) as process:
        process.port = _port(process, "listening on port")
        if flags.get("grpc_port") == 0:
            process.grpc_port = _port(process, "gRPC on port")
        until(lambda: _ready(process), START_SECONDS, lambda: process.log.read_text())
        yield process


@contextmanager
def serving_every_type(folder: Path, more: dict[str, bytes] | None = None, **flags: Any) -> Iterator[Process]:
    """One server with an identity model for each data type, under the type's name, and `more` models."""
    listed = []
    for name, content in {
        **{name: models.identity(kind) for name, kind in models.KINDS.items()},
        **(more or {}),
    }.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(content)
        listed.append({"model": name, "artifact": str(path)})
    file = folder / "models.json"
    file.write_text(json.dumps({"models": listed}))
    with running(folder, "", models=file, **flags) as process:
        yield process


def until(condition: Any, seconds: float, describe: Any = lambda: "") -> Any:
    """Poll until `condition()` is true and return it; fail with `describe()` after `seconds`."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"did not happen within {seconds} s: {describe()}")


def _port(process: Process, mark: str) -> int:
    def found() -> int:
        assert process.popen.poll() is None, process.log.read_text()
        for line in process.log.read_text().splitlines():
            if mark in line:
                return int(line.rsplit(" ", 1)[1])
        return 0

    return until(found, START_SECONDS, lambda: process.log.read_text())


def _ready(process: Process) -> bool:
    assert process.popen.poll() is None, process.log.read_text()
    try:
        return process.get("/v2/health/ready").status == 200
    except OSError:
        return False
