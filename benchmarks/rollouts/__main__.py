"""Measure ticks per second on PostgreSQL with a world in memory, and how fast a verdict becomes a route.

    python benchmarks/rollouts/run.py [--sizes 1000,10000] [--rounds 20] [--profile FILE]

The measurement runs in a process of its own, since it has settings of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.fleet.ports import free_port
from tests.servers.postgres import Postgres
from tests.servers.process import Absent

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000", help="active rollouts, rising")
    parser.add_argument("--rounds", default="20", help="of 5 failing rollouts each; 0: none")
    parser.add_argument("--profile", default="", help="write a cProfile of the largest size here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        own = {"SLIPWAY_HOME": folder, "SLIPWAY_LOG_LEVEL": "ERROR", "SLIPWAY_SECRET_KEY": "bench"}
        environ = {**os.environ, **own, "DJANGO_SETTINGS_MODULE": "controlplane.settings"}
        ticks = _ticks(options.sizes, options.profile, environ) if options.sizes else 0
        return ticks or (_latency(options.rounds, environ) if options.rounds != "0" else 0)


def _ticks(sizes: str, profile: str, environ: dict[str, str]) -> int:
    world = {
        "SLIPWAY_CLUSTER": "rollouts.adapters.memory.MemoryCluster",
        "SLIPWAY_ROUTER": "rollouts.adapters.memory.MemoryRouter",
        "SLIPWAY_METRICS_SOURCE": "benchmarks.rollouts.sources.SteadySource",
        "SLIPWAY_ARTIFACT_STORE": "benchmarks.rollouts.sources.Anywhere",
        "SLIPWAY_TICK_SECONDS": "60",
    }
    try:
        with Postgres() as postgres:
            url = postgres.create("bench")
            return _run("ticks", [sizes, profile], {**environ, **world, "SLIPWAY_DATABASE_URL": url})
    except Absent as why:
        print(f"ticks are not measured: {why}")
        return 0


def _latency(rounds: str, environ: dict[str, str]) -> int:
    world = {
        "SLIPWAY_METRICS_SOURCE": "benchmarks.rollouts.sources.Switched",
        "SLIPWAY_ARTIFACT_STORE": "benchmarks.rollouts.sources.Files",
        "SLIPWAY_GATEWAY_URL": f"http://127.0.0.1:{free_port()}",
    }
    return _run("latency", [rounds], {**environ, **world})


def _run(part: str, arguments: list[str], environ: dict[str, str]) -> int:
    command = [sys.executable, "-m", f"benchmarks.rollouts.{part}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main())
