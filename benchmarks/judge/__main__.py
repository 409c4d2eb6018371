"""Prints the tables; exits 1 when a figure misses what docs/monitoring.md promises."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import binom

from benchmarks.judge.answers import LINES, Answers
from benchmarks.judge.answers import run as run_answers
from benchmarks.judge.hours import HOURS, Hour
from benchmarks.judge.hours import run as run_hour
from benchmarks.judge.rollouts import STRICT_GATES, roll_out
from benchmarks.judge.speed import gates_per_second
from benchmarks.judge.traffic import Behaviour
from monitoring.domain.judge import DEFAULT_GATES, parse_gates

HEALTHY = Behaviour()
GATES_PER_SECOND = 10_000
ROLLOUTS = (
    ("A/A, default gates, 20 requests/s", parse_gates(DEFAULT_GATES), HEALTHY, 20.0),
    ("A/A, no slack in any gate, 20 requests/s", STRICT_GATES, HEALTHY, 20.0),
    ("A/A, no slack in any gate, 2 requests/s", STRICT_GATES, HEALTHY, 2.0),
    ("5 % errors", parse_gates(DEFAULT_GATES), replace(HEALTHY, error_rate=0.05), 20.0),
    ("twice as slow", parse_gates(DEFAULT_GATES), replace(HEALTHY, median=2 * HEALTHY.median), 20.0),
    ("outputs moved by one deviation", parse_gates(DEFAULT_GATES), replace(HEALTHY, moved=1.0), 20.0),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="simulated rollouts and hours per line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables, separated by commas")
    options = parser.parse_args()
    began = time.monotonic()
    missed = [
        line for name in options.parts.split(",") for line in PARTS[name.strip()](options.runs, options.seed)
    ]
    print(f"\n{options.runs} runs per line in {time.monotonic() - began:.0f} s")
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


def surely_more(hits: int, runs: int, share: float) -> bool:
    """Whether so many hits would be rarer than 1 % if the true share were `share`."""
    return hits > 0 and bool(binom.sf(hits - 1, runs, share) < 0.01)


def _rollouts(runs: int, seed: int) -> list[str]:
    title = "whole rollout 5/10/25/50 %, a look every 5 s"
    print(f"{title:<45}{'Slipway':>12}{'Kayenta':>10}{'median look':>14}")
    missed = []
    for name, gates, candidate, per_second in ROLLOUTS:
        rng = np.random.default_rng(seed)
        found = [roll_out(rng, gates, HEALTHY, candidate, per_second=per_second) for _ in range(runs)]
        looks = [outcome.look for outcome in found if outcome.look is not None]
        middle = f"{np.median(looks):.0f} of {found[0].looks}" if looks else "-"
        kayenta = sum(outcome.kayenta for outcome in found)
        print(f"{name:<45}{100 * len(looks) / runs:>10.1f} %{100 * kayenta / runs:>8.1f} %{middle:>14}")
        if name.startswith("A/A") and surely_more(len(looks), runs, 0.01):
            missed.append(f"{name}: {len(looks)} of {runs} healthy candidates rolled back")
    return missed


def _hours(runs: int, seed: int) -> list[str]:
    return _table("one hour, equal arms", HOURS, run_hour, runs, seed)


def _answers(runs: int, seed: int) -> list[str]:
    return _table("one hour: outcomes, pairs, inputs", LINES, run_answers, runs, seed)


def _table(
    title: str,
    lines: Sequence[Hour | Answers],
    run: Callable[..., Mapping[str, bool | None]],
    runs: int,
    seed: int,
) -> list[str]:
    print(f"\n{title:<45}{'Slipway':>12}{'Kayenta':>10}{'Kayenta, peeking':>18}")
    missed = []
    for line in lines:
        rng = np.random.default_rng(seed)
        found = [run(rng, line) for _ in range(runs)]
        cells = [_share([item[rule] for item in found]) for rule in ("slipway", "kayenta", "kayenta_peeking")]
        print(f"{line.name:<45}{cells[0]:>12}{cells[1]:>10}{cells[2]:>18}")
        hits = sum(bool(item["slipway"]) for item in found)
        if line.needed is not None and surely_more(runs - hits, runs, 1 - line.needed):
            missed.append(f"{line.name}: found {cells[0]}, needed {100 * line.needed:g} %")
        if line.allowed is not None and surely_more(hits, runs, line.allowed):
            missed.append(f"{line.name}: flagged {cells[0]}, allowed {100 * line.allowed:g} %")
    return missed


def _share(flags: Sequence[bool | None]) -> str:
    if None in flags:
        return "-"
    return f"{100 * sum(map(bool, flags)) / len(flags):.1f} %"


def _speed(runs: int, seed: int) -> list[str]:
    """The best of three, since other work on the machine only slows down."""
    found = [gates_per_second(seed + number) for number in range(3)]
    ours, kayenta = max(item[0] for item in found), max(item[1] for item in found)
    print(f"\n{'judged per second on one core (CPU time)':<45}{'Slipway':>12}{'Kayenta':>10}{'ratio':>18}")
    line = f"{'gates, with reading and wording; metrics':<45}{ours:>12,.0f}{kayenta:>10,.0f}"
    print(f"{line}{ours / kayenta:>17.1f}x")
    return [] if ours >= GATES_PER_SECOND else [f"{ours:,.0f} gates per second, needed {GATES_PER_SECOND:,}"]


PARTS = {"rollouts": _rollouts, "hours": _hours, "answers": _answers, "speed": _speed}

if __name__ == "__main__":
    sys.exit(main())
