"""Compare the model server with the FastAPI service of the tutorials, on this machine, now.

    python benchmarks/serving/run.py [--seconds 4] [--rounds 3] [--connections 1,32,128]

Needs wrk, taskset and two CPUs. The FastAPI service gets its own virtual environment below build/, with
uvloop and httptools as `uvicorn[standard]` brings them. Servers run one after the other in every round,
so that a disturbance hits all alike; the table has the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from load import Measured, measure, server, write_script
from models import Subject, build

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "build" / "bench-venv"
PORT = 18765
BASE = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Contender:
    """How to start a server for a model, and what to post where."""

    name: str
    command: Callable[[Subject], list[str]]
    url: Callable[[Subject], str]
    request: Callable[[Subject], tuple[bytes, dict[str, str]]]


def _slipway(subject: Subject) -> list[str]:
    return [sys.executable, "-m", "deploy.serving", "--artifact", str(subject.path), "--model", subject.name,
            "--histograms", str(subject.histograms), "--port", str(PORT), "--threads", "1"]  # fmt: skip


def _naive(_: Subject) -> list[str]:
    python, here = str(VENV / "bin" / "python"), str(Path(__file__).parent)
    return [python, "-m", "uvicorn", "naive_fastapi:app", "--app-dir", here, "--port", str(PORT),
            "--no-access-log", "--log-level", "error"]  # fmt: skip


def _json(subject: Subject) -> tuple[bytes, dict[str, str]]:
    return subject.body, {"content-type": "application/json"}


def _binary(subject: Subject) -> tuple[bytes, dict[str, str]]:
    tensor = {"name": "X", "shape": [1, *subject.shape], "datatype": "FP32",
              "parameters": {"binary_data_size": len(subject.row)}}  # fmt: skip
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return head + subject.row, headers


SLIPWAY = Contender("slipway", _slipway, lambda _: f"{BASE}/predict", _json)
BINARY = Contender("slipway, binary", _slipway, lambda it: f"{BASE}/v2/models/{it.name}/infer", _binary)
NAIVE = Contender("FastAPI", _naive, lambda _: f"{BASE}/predict", _json)


def naive_is_there() -> bool:
    """Create the environment of the FastAPI service if need be; without a network it is left out."""
    if not (VENV / "bin" / "uvicorn").exists():
        packages = ["fastapi", "uvicorn[standard]", "onnxruntime", "numpy"]
        try:
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
            subprocess.run([VENV / "bin" / "pip", "install", "--quiet", *packages], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(VENV, ignore_errors=True)
            print(f"FastAPI is left out: its environment could not be made ({error})")
            return False
    return True


def one_round(
    contenders: list[Contender], subjects: list[Subject], connections: list[int], seconds: int, folder: Path
) -> Iterator[tuple[tuple[str, str, int], Measured]]:
    """Measure everything once."""
    for subject in subjects:
        for contender in contenders:
            if contender is BINARY and subject.name != "convnet":
                continue
            script = folder / "post.lua"
            write_script(script, *contender.request(subject))
            environ = {**os.environ, "MODEL": str(subject.path), "PYTHONPATH": str(ROOT)}
            with server(contender.command(subject), f"{BASE}/health", environ) as process:
                for count in connections:
                    found = measure(process, contender.url(subject), script, count, seconds)
                    yield (subject.name, contender.name, count), found


def bare_rate(subject: Subject, seconds: float = 2.0) -> float:
    """Rows per second of a session.run loop, batch size 1, one thread, on the server's CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(subject.path), options, providers=["CPUExecutionProvider"])
    row = np.frombuffer(subject.row, dtype=np.float32).reshape(1, *subject.shape)
    rows, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        session.run(None, {"X": row})
        rows += 1
    return rows / spent


def median(values: list[Measured]) -> Measured:
    fields = ("rate", "cpu", "p50", "p99", "memory", "failed")
    return Measured(*(statistics.median(getattr(value, field) for value in values) for field in fields))


def show(results: dict[tuple[str, str, int], list[Measured]]) -> None:
    columns = (
        "model",
        "server",
        "conn.",
        "req/s",
        "CPU µs",
        "p50 ms",
        "p99 ms",
        "MiB",
        "failed",
        "CPU vs FastAPI",
    )
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for (model, name, count), values in results.items():
        found = median(values)
        peer = results.get((model, NAIVE.name, count))
        ratio = f"{median(peer).cpu / found.cpu:.1f}×" if peer and name != NAIVE.name else ""
        cells = (model, name, count, f"{found.rate:,.0f}", f"{found.cpu:,.0f}", f"{found.p50:.2f}",
                 f"{found.p99:.2f}", f"{found.memory:.0f}", found.failed, ratio)  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=4, help="of load per measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", default="1,32,128")
    options = parser.parse_args()
    missing = [tool for tool in ("wrk", "taskset") if shutil.which(tool) is None]
    if missing or (os.cpu_count() or 1) < 2:
        needed = ", ".join(missing) or "wrk, taskset"
        print(f"nothing measured: needs two CPUs and {needed} (apt-get install wrk util-linux)")
        return 0
    connections = [int(count) for count in options.connections.split(",")]
    contenders = [SLIPWAY, BINARY, *([NAIVE] if naive_is_there() else [])]
    results: dict[tuple[str, str, int], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = build(folder)
        for _ in range(options.rounds):
            for key, found in one_round(contenders, subjects, connections, options.seconds, folder):
                results.setdefault(key, []).append(found)
        show(results)
        for subject in subjects:
            print(
                f"bare session.run loop, {subject.name}: {bare_rate(subject):,.0f} rows/s on a CPU of its own"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
