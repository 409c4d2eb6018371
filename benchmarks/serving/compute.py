"""Rows per second of a model that is all computation, beside a bare `session.run` loop on the same CPU."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from contenders import BINARY, PORT, as_binary, slipway
from load import SERVER_CPU, measure, server, write_script
from models import Subject

TARGET = 0.85
BARE = """
import resource, sys, time
import numpy as np, onnxruntime
path, rows, seconds, *shape = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
row = np.random.default_rng(7).normal(size=(int(rows), *map(int, shape))).astype(np.float32)
session.run(None, {"X": row})
before, start, done = time.process_time(), time.perf_counter(), 0
while time.perf_counter() - start < float(seconds):
    session.run(None, {"X": row})
    done += int(rows)
print(done / (time.perf_counter() - start), (time.process_time() - before) / done * 1e6)
"""


def bare(subject: Subject, rows: int, seconds: float) -> tuple[float, float]:
    """Rows per second and CPU µs per row of the loop, one thread, on the server's CPU."""
    command = ["taskset", "-c", SERVER_CPU, sys.executable, "-c", BARE, str(subject.path), str(rows),
               str(seconds), *map(str, subject.shape)]  # fmt: skip
    rate, cpu = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(rate), float(cpu)


def served(subject: Subject, rows: int, folder: Path, seconds: int) -> tuple[float, float]:
    """The same of the server, which gets `rows` rows per request as binary tensors from four connections."""
    script = folder / "rows.lua"
    write_script(script, *as_binary(subject, rows))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [*slipway(subject, folder), "--max-batch", str(max(rows, 1))]
    with server(command, f"http://127.0.0.1:{PORT}/health", environ) as process:
        found = measure(process, BINARY.url, script, 4, seconds)
    return found.rate * rows, found.cpu / rows


def show(subject: Subject, folder: Path, rounds: int, seconds: int = 3) -> None:
    """Print the comparison for one, eight and 32 rows per run."""
    print(f"\nrows/s on {subject.name} beside a bare session.run loop (at least {TARGET:.0%} wanted)")
    print(
        "| rows per run | bare rows/s | served rows/s | | bare CPU µs/row | served | |\n" + "|---" * 7 + "|"
    )
    for rows in (1, 8, 32):
        pairs = [
            (bare(subject, rows, seconds), served(subject, rows, folder, seconds)) for _ in range(rounds)
        ]
        bare_rate, bare_cpu = (statistics.median(pair[0][at] for pair in pairs) for at in (0, 1))
        rate, cpu = (statistics.median(pair[1][at] for pair in pairs) for at in (0, 1))
        print(f"| {rows} | {bare_rate:,.0f} | {rate:,.0f} | {rate / bare_rate:.0%} "
              f"| {bare_cpu:,.0f} | {cpu:,.0f} | {bare_cpu / cpu:.0%} |", flush=True)  # fmt: skip
