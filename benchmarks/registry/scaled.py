"""What every list, search and page costs with few and with many versions, measured in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 7
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


def show(names: list[str], sizes: list[int], sides: list[Side], rounds: int = ROUNDS) -> None:
    """The table; a change is the median over the rounds, each of which asks both sides."""
    columns = (f"{sizes[0]:,} versions × bare", f"{sizes[-1]:,} × bare", "CPU", "queries", "")
    print(f"\n| list, search or page | {' | '.join(columns)} |\n|---|---|---|---|---|---|")
    for number, name in enumerate(names):
        for side in sides:
            side.ask(number)
        few: list[dict[str, Any]] = []
        many: list[dict[str, Any]] = []
        for _ in range(rounds):
            few.append(sides[0].ask(number))
            many.append(sides[1].ask(number))
        a, b = (median(one["cost"] / one["bare"] for one in told) for told in (few, many))
        change = median(
            (after["cost"] / after["bare"]) / (before["cost"] / before["bare"])
            for before, after in zip(few, many, strict=True)
        ) - 1  # fmt: skip
        queries = few[-1]["queries"], many[-1]["queries"]
        met = "met" if change <= TOLERANCE and queries[0] == queries[1] else "missed"
        print(
            f"| {name} | {a:.1f} | {b:.1f} | {change:+.0%} | {queries[0]} → {queries[1]} | {met} |",
            flush=True,
        )


def compare(sizes: list[int], repetitions: int, environs: list[dict[str, str]]) -> None:
    """Fills both databases and shows the table."""
    from benchmarks.registry.requests import SCALED

    sides: list[Side] = []
    try:
        for size, environ in zip(sizes, environs, strict=True):
            sides.append(Side(size, repetitions, environ))
            sides[-1].ready()
        show([call.name for call in SCALED], sizes, sides)
    finally:
        for side in sides:
            side.end()
