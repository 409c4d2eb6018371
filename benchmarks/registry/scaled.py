"""What every list, search and page costs with few and with many versions, measured in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# How a process happens to lie in memory is worth a tenth of its CPU time, for as long as it lives.
PROCESSES, ROUNDS = 5, 8
TOLERANCE = 0.2
Told = dict[str, Any]
Round = list[Told]
"""What both sides told, one right after the other."""


class Side:
    """A process with a filled database, which measures calls on demand."""

    def __init__(self, repetitions: int, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.registry.side", str(repetitions)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ready(self) -> None:
        """Waits until it can be asked."""
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("the versions cannot be read")

    def ask(self, number: int) -> Told:
        """One batch of the call of that number."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        told: Told = json.loads(self.process.stdout.readline())
        return told

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def compare(sizes: list[int], repetitions: int, environs: list[dict[str, str]], only: str = "") -> None:
    """Shows the table for both databases, or only the rows whose name has that text."""
    from benchmarks.registry.requests import SCALED

    numbers = [number for number, call in enumerate(SCALED) if only in call.name]
    found: dict[int, list[Round]] = defaultdict(list)
    for _ in range(PROCESSES):
        for number, rounds in _with_two_processes(numbers, repetitions, environs):
            found[number] += rounds
    _show(sizes, [(SCALED[number].name, found[number]) for number in numbers])


def _with_two_processes(
    numbers: list[int], repetitions: int, environs: list[dict[str, str]]
) -> list[tuple[int, list[Round]]]:
    """The rounds of each call, by two new processes."""
    sides: list[Side] = []
    try:
        for environ in environs:
            sides.append(Side(repetitions, environ))
            sides[-1].ready()
        return [(number, _rounds(sides, number)) for number in numbers]
    finally:
        for side in sides:
            side.end()


def _rounds(sides: list[Side], number: int) -> list[Round]:
    """Each side begins every second round."""
    rounds = []
    for turn in range(ROUNDS):
        order = -1 if turn % 2 else 1
        rounds.append([side.ask(number) for side in sides[::order]][::order])
    return rounds


def _show(sizes: list[int], found: list[tuple[str, list[Round]]]) -> None:
    """The table.

    The comparison is the median of the rounds' own, as what else the machine does comes and goes more slowly.
    What shows another number of rows with many versions is not compared: that is a mistake of this benchmark.
    """
    columns = (f"{sizes[0]:,} versions × bare", f"{sizes[-1]:,} × bare", "CPU", "queries", "rows", "")
    print(f"\n| list, search or page | {' | '.join(columns)} |\n|---|---|---|---|---|---|---|")
    for name, rounds in found:
        times = [[told["cost"] / told["bare"] for told in both] for both in rounds]
        few, many = (median(both[side] for both in times) for side in (0, 1))
        more = median(both[1] / both[0] for both in times) - 1
        queries, rows = ([told[what] for told in rounds[-1]] for what in ("queries", "rows"))
        if rows[0] != rows[1]:
            raise SystemExit(f"{name}: {rows[0]} rows against {rows[1]}")
        met = "met" if more <= TOLERANCE and queries[0] == queries[1] else "missed"
        told_of = (f"{few:.1f}", f"{many:.1f}", f"{more:+.0%}", f"{queries[0]} → {queries[1]}")
        print(f"| {name} | {' | '.join(told_of)} | {rows[0]} | {met} |", flush=True)
