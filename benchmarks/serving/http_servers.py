"""What an HTTP server costs by itself: a constant answer to a POST of a row, from each that was considered.

The reason for the choice is docs/decisions/0004-uvicorn-with-a-short-way-for-predictions.md.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from contenders import BASE, PLAIN, PORT, as_features, slipway
from load import Measured, measure, server, write_script
from models import Subject

from tests.peers import PeerUnavailable, environment

HERE = Path(__file__).parent


def commands(subject: Subject, folder: Path) -> dict[str, list[str]]:
    """How each is started, all with one process; the model server, which does predict, stands last."""
    python = str(environment("granian", HERE / "peers" / "granian.txt"))
    granian = [
        python,
        "-m",
        "granian",
        "--port",
        str(PORT),
        "--workers",
        "1",
        "--no-ws",
        "--log-level",
        "error",
    ]
    uvicorn = [python, "-m", "uvicorn", "constant:asgi", "--port", str(PORT), "--log-level", "error",
               "--no-access-log", "--lifespan", "off"]  # fmt: skip
    return {
        "uvicorn, ASGI": uvicorn,
        "granian, ASGI": [*granian, "--interface", "asginl", "constant:asgi"],
        "granian, RSGI": [*granian, "--interface", "rsgi", "constant:rsgi"],
        "slipway, predicting": slipway(subject, folder),
    }


def show(subject: Subject, folder: Path, connections: list[int], rounds: int, seconds: int) -> None:
    """Print server CPU per request, medians of the rounds."""
    try:
        servers = commands(subject, folder)
    except PeerUnavailable as error:
        print(f"\nHTTP servers are left out, since their environment could not be made: {error}")
        return
    script = folder / "constant.lua"
    write_script(script, *as_features(subject))
    found: dict[tuple[str, int], list[Measured]] = {}
    for _ in range(rounds):
        for name, command in servers.items():
            _measure(name, command, script, connections, seconds, found)
    print("\nCPU µs per request: constant answers, and the whole server on the tabular model")
    print(
        "| | "
        + " | ".join(f"{count} conn." for count in connections)
        + " |\n"
        + "|---" * (len(connections) + 1)
        + "|"
    )
    for name in servers:
        cells = [f"{statistics.median(one.cpu for one in found[name, count]):,.0f}" for count in connections]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _measure(
    name: str,
    command: list[str],
    script: Path,
    connections: list[int],
    seconds: int,
    found: dict[tuple[str, int], list[Measured]],
) -> None:
    paths = os.pathsep.join((str(HERE.parents[1]), str(HERE / "peers")))
    environ = {**os.environ, "PYTHONPATH": paths}
    # Constant answers are 200 wherever one asks.
    with server(command, PLAIN.ready, environ) as process:
        for count in connections:
            measured = measure(process, f"{BASE}/predict", script, count, seconds)
            found.setdefault((name, count), []).append(measured)
