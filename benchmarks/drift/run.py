"""What drift costs and how often it is wrong.

    python benchmarks/drift/run.py [--rows 1000000] [--versions 1000] [--without-peer]

First 30 features of so many rows: Slipway measures them from the histograms that the model server counted,
Evidently's data drift preset from the rows themselves. CPU time of each, medians of three, in processes of
their own; Evidently gets its own environment below .venv-peers/ from evidently.lock. Then versions of 30
columns without any drift: how many are flagged. Exits 1 when more than 1 % are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from monitoring.domain.drift.assessment import measure, state_of  # noqa: E402
from monitoring.domain.histogram import Histogram  # noqa: E402
from registry.domain.profile import Column, bin_counts, build_item  # noqa: E402

HERE = Path(__file__).resolve().parent
PEER = ROOT / ".venv-peers" / "evidently"
FEATURES, REFERENCE_ROWS, ROUNDS = 30, 100_000, 3
SIZES, REFERENCES = (100, 200, 500, 1000), (1_000, 20_000)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--without-peer", action="store_true")
    options = parser.parse_args()
    cost(options.rows, None if options.without_peer else peer_python())
    return 1 if max(false_flags(options.versions)) > 0.01 else 0


def cost(rows: int, peer: Path | None) -> None:
    """Prints the CPU time of both over the same rows."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(REFERENCE_ROWS, FEATURES))
    # Every tenth feature has moved by half a standard deviation.
    current = rng.normal(size=(rows, FEATURES)) + np.where(np.arange(FEATURES) % 10 == 0, 0.5, 0.0)
    items = [build_item(Column(f"f{i:02}", "X", i, reference[:, i])) for i in range(FEATURES)]

    def count() -> list[Histogram]:
        return [
            Histogram.of(item["edges"], bin_counts(current[:, i], item["edges"]))
            for i, item in enumerate(items)
        ]

    histograms = count()

    def judge() -> list[Any]:
        return [measure(i, "inputs", h, FEATURES) for i, h in zip(items, histograms, strict=True)]

    counting, judging = cpu(count), cpu(judge)
    found = [column.name for column in judge() if column.drifted]
    print(f"{FEATURES} features, {rows:,} rows against {REFERENCE_ROWS:,}; CPU seconds")
    print(f"  Slipway, from histograms         {judging:10.4f}   drifting: {', '.join(found)}")
    print(f"  Slipway, counting the rows first {counting + judging:10.4f}   (servers do it as they serve)")
    if peer is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npz"
        np.savez(path, reference=reference, current=current)
        answers = [json.loads(run([str(peer), str(HERE / "peer.py"), str(path)])) for _ in range(ROUNDS)]
    theirs = statistics.median(answer["cpu_seconds"] for answer in answers)
    print(f"  Evidently's data drift preset    {theirs:10.4f}   drifting: {answers[0]['drifted']}")
    print(f"  ratio: {theirs / judging:,.0f}, with counting {theirs / (counting + judging):,.1f}")


def false_flags(versions: int) -> list[float]:
    """Prints, and returns, the share of versions without drift of which any column is flagged."""
    print(f"\nfalse drift flags, {versions:,} versions of {FEATURES} columns each, 10 bins, no drift")
    print(f"  {'values':>8} {'reference':>10} {'columns flagged':>16} {'versions flagged':>17}")
    rates = []
    for n in SIZES:
        for m in REFERENCES:
            columns, flagged = undrifted(n, m, versions)
            rates.append(flagged / versions)
            print(f"  {n:8,} {m:10,} {columns / versions / FEATURES:16.3%} {flagged / versions:17.2%}")
    return rates


def undrifted(n: int, m: int, versions: int) -> tuple[int, int]:
    """How many columns, and how many versions, are flagged: edges at the deciles of m reference values."""
    rng = np.random.default_rng(n * m)
    columns = flagged = 0
    for _ in range(versions):
        items = [build_item(Column("x", "X", 0, values)) for values in rng.random((FEATURES, m))]
        found = []
        for item in items:
            shares = np.diff([0.0, *item["edges"], 1.0])
            live = Histogram.of(item["edges"], rng.multinomial(n, shares))
            found.append(measure(item, "inputs", live, FEATURES))
        columns += sum(column.drifted for column in found)
        flagged += state_of(found) == "drifted"
    return columns, flagged


def cpu(work: Callable[[], object]) -> float:
    """Median CPU seconds of three calls."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


def peer_python() -> Path:
    """The Python of Evidently's environment, made when it is not there."""
    python = PEER / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", str(PEER)])
        lock = str(HERE / "evidently.lock")
        run([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock])
    return python


def run(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().rpartition("\n")[2]


if __name__ == "__main__":
    sys.exit(main())
