"""What every list, search and page costs with few and with many versions, measured in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 12
TOLERANCE = 0.2


class Side:
    """A process with a database of its own, which measures calls on demand."""

    def __init__(self, size: int, repetitions: int, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.registry.side", str(size), str(repetitions)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ready(self) -> None:
        """Waits until the versions are there."""
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("the versions could not be made")

    def ask(self, number: int) -> dict[str, Any]:
        """One batch of the call of that number."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def show(names: list[str], sizes: list[int], sides: list[Side], only: str, rounds: int = ROUNDS) -> None:
    """The table, from the least of the rounds, each of which asks both sides: a busy machine only adds.

    What shows another number of rows with many versions is not compared: that is a mistake of this benchmark.
    """
    columns = (f"{sizes[0]:,} versions × bare", f"{sizes[-1]:,} × bare", "CPU", "queries", "rows", "")
    print(f"\n| list, search or page | {' | '.join(columns)} |\n|---|---|---|---|---|---|---|")
    for number, name in enumerate(names):
        if only not in name:
            continue
        told: list[list[dict[str, Any]]] = [[], []]
        for _ in range(rounds):
            for side, answers in zip(sides, told, strict=True):
                answers.append(side.ask(number))
        a, b = (_least(answers, "cost") / _least(answers, "bare") for answers in told)
        queries = [answers[-1]["queries"] for answers in told]
        rows = [answers[-1]["rows"] for answers in told]
        if rows[0] != rows[1]:
            raise SystemExit(f"{name}: {rows[0]} rows against {rows[1]}")
        met = "met" if b / a <= 1 + TOLERANCE and queries[0] == queries[1] else "missed"
        told_of = (f"{a:.1f}", f"{b:.1f}", f"{b / a - 1:+.0%}", f"{queries[0]} → {queries[1]}", rows[0], met)
        print(f"| {name} | {' | '.join(map(str, told_of))} |", flush=True)


def _least(answers: list[dict[str, Any]], what: str) -> float:
    return min(float(answer[what]) for answer in answers)


def compare(sizes: list[int], repetitions: int, environs: list[dict[str, str]], only: str = "") -> None:
    """Fills both databases and shows the table, or only the rows whose name has that text."""
    from benchmarks.registry.requests import SCALED

    sides: list[Side] = []
    try:
        for size, environ in zip(sizes, environs, strict=True):
            sides.append(Side(size, repetitions, environ))
            sides[-1].ready()
        show([call.name for call in SCALED], sizes, sides, only)
    finally:
        for side in sides:
            side.end()
