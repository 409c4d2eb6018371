"""Measure the registry's REST API and pages on PostgreSQL.

    python benchmarks/registry/run.py [--quick] [--sizes 1000,100000] [--requests | --scaled]
                                      [--only TEXT] [--profile ROUTE]

Two tables: CPU time (server and database) per REST request as multiples of a bare Django JSON view, and what
every list, search and page costs with few and with many versions, both measured in turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.registry.scaled import compare
from tests.servers.postgres import Postgres
from tests.servers.process import Absent

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,100000", help="versions, rising")
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 versions, fewer repetitions")
    parser.add_argument("--requests", action="store_true", help="only the first table")
    parser.add_argument("--profile", default="", help="print a profile of this row of the first table")
    parser.add_argument("--scaled", action="store_true", help="only the second table")
    parser.add_argument("--only", default="", help="only rows of the second table whose name has this text")
    options = parser.parse_args()
    sizes = [int(size) for size in ("1000,10000" if options.quick else options.sizes).split(",")]
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        environ = {
            **os.environ,
            "SLIPWAY_HOME": folder,
            "SLIPWAY_LOG_LEVEL": "ERROR",
            "SLIPWAY_SECRET_KEY": "bench",
            "SLIPWAY_DATABASE_POOL": "1",
            # Limits are measured as in production: counted, with room for what is asked here.
            "SLIPWAY_RATE_TOKEN": "1000000000",
            "SLIPWAY_RATE_ADDRESS": "1000000000",
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        }
        try:
            with Postgres() as postgres:
                if not options.scaled:
                    filled = _filled(postgres, environ, sizes[0], "bench")
                    arguments = ["8" if options.quick else "40", options.profile]
                    status = subprocess.run(_module("requests", *arguments), cwd=ROOT, env=filled).returncode
                    if status or options.requests or options.profile:
                        return status
                environs = [
                    _filled(postgres, environ, size, f"side{number}") for number, size in enumerate(sizes)
                ]
                compare(sizes, 4 if options.quick else 8, environs, options.only)
                return 0
        except Absent as why:
            print(f"the registry is not measured: {why}")
            return 0


def _filled(postgres: Postgres, environ: dict[str, str], size: int, name: str) -> dict[str, str]:
    """The environment of a new database with so many versions."""
    own = environ | {"SLIPWAY_DATABASE_URL": postgres.create(name)}
    subprocess.run(_module("population", str(size)), cwd=ROOT, env=own, check=True)
    return own


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.registry.{name}", *arguments]


if __name__ == "__main__":
    sys.exit(main())
