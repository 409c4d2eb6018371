"""Rows per second of a model that is all computation, beside a bare `session.run` loop on the same CPU."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contenders import BINARY, PORT, as_binary, slipway
from load import SERVER_CPU, measure, server, write_script
from models import Subject

TARGET = 0.85
BARE = """
import sys, time
import numpy as np, onnxruntime
path, rows, *shape = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
row = np.random.default_rng(7).normal(size=(int(rows), *map(int, shape))).astype(np.float32)
session.run(None, {"X": row})
for seconds in sys.stdin:
    before, start, done = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - start < float(seconds):
        session.run(None, {"X": row})
        done += int(rows)
    print(done / (time.perf_counter() - start), (time.process_time() - before) / done * 1e6, flush=True)
"""
Found = tuple[float, float]
"""Rows per second, CPU µs per row."""


@contextmanager
def bare(subject: Subject, rows: int) -> Iterator[Callable[[int], Found]]:
    """The loop, one thread, on the server's CPU; it runs for some seconds whenever it is asked."""
    command = ["taskset", "-c", SERVER_CPU, sys.executable, "-c", BARE, str(subject.path), str(rows),
               *map(str, subject.shape)]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def turn(seconds: int) -> Found:
            asked.write(f"{seconds}\n")
            asked.flush()
            rate, cpu = answers.readline().split()
            return float(rate), float(cpu)

        try:
            yield turn
        finally:
            asked.close()


@contextmanager
def served(subject: Subject, rows: int, folder: Path) -> Iterator[Callable[[int], Found]]:
    """The same of the server, which gets `rows` rows per request as binary tensors from four connections."""
    script = folder / "rows.lua"
    write_script(script, *as_binary(subject, rows))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [*slipway(subject, folder), "--max-batch", str(max(rows, 1))]
    with server(command, f"http://127.0.0.1:{PORT}/health", environ) as process:

        def turn(seconds: int) -> Found:
            found = measure(process, BINARY.url, script, 4, seconds, warm_up=0)
            return found.rate * rows, found.cpu / rows

        turn(1)
        yield turn


def show(subject: Subject, folder: Path, rounds: int, seconds: int = 2) -> None:
    """Print the comparison for one, eight and 32 rows per run.

    Both processes are there all the time and take turns, so that what else the machine does hits both alike.
    """
    print(f"\nrows/s on {subject.name} beside a bare session.run loop (at least {TARGET:.0%} wanted)")
    print(
        "| rows per run | bare rows/s | served rows/s | | bare CPU µs/row | served | |\n" + "|---" * 7 + "|"
    )
    for rows in (1, 8, 32):
        with bare(subject, rows) as loop, served(subject, rows, folder) as service:
            loop(1)
            pairs = [(loop(seconds), service(seconds)) for _ in range(rounds)]
        bare_rate, bare_cpu = (statistics.median(pair[0][at] for pair in pairs) for at in (0, 1))
        rate, cpu = (statistics.median(pair[1][at] for pair in pairs) for at in (0, 1))
        print(f"| {rows} | {bare_rate:,.0f} | {rate:,.0f} | {rate / bare_rate:.1%} "
              f"| {bare_cpu:,.0f} | {cpu:,.0f} | {bare_cpu / cpu:.1%} |", flush=True)  # fmt: skip
