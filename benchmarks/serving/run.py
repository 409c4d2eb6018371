"""Compare the model server with what people would otherwise write or pick, on this machine, now.

    python benchmarks/serving/run.py [--seconds 2] [--rounds 3] [--connections 1,32,128] [--models …]

Every server runs on one CPU, wrk on another. Servers run one after the other in every round, so that a
disturbance hits all alike; tables have the medians of the rounds. The peers live in environments of their own
below .venv-peers, made from peers/*.txt; one that cannot be made is left out. CPU time per request is the
figure that a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import compute  # noqa: E402
import crowd  # noqa: E402
import http_servers  # noqa: E402
import overload  # noqa: E402
import restart  # noqa: E402
from contenders import BINARY, INFER, PEERS, PLAIN, PORT, Contender, peers  # noqa: E402
from load import Measured, measure, server, write_script  # noqa: E402
from models import Subject, build  # noqa: E402

Key = tuple[str, str, int]
COLUMNS = ("model", "server", "conn.", "req/s", "CPU µs", "p50 ms", "p99 ms", "MiB", "failed")


def one_round(
    contenders: list[Contender], subjects: list[Subject], connections: list[int], seconds: int, folder: Path
) -> Iterator[tuple[Key, Measured]]:
    """Measure everything once."""
    for subject in subjects:
        for contender in contenders:
            if contender is BINARY and subject.name != "convnet":
                continue
            script = folder / "post.lua"
            write_script(script, *contender.request(subject))
            paths = os.pathsep.join((str(ROOT), str(Path(__file__).parent / "peers")))
            environ = {**os.environ, "MODEL": str(subject.path), "PORT": str(PORT), "PYTHONPATH": paths}
            try:
                with server(contender.command(subject, folder), contender.ready, environ) as process:
                    for count in connections:
                        found = measure(process, contender.url, script, count, seconds)
                        yield (subject.name, contender.name, count), found
            except RuntimeError as error:
                print(f"{contender.name} is left out for {subject.name}: {error}", flush=True)


def median(values: list[Measured]) -> Measured:
    fields = ("rate", "cpu", "p50", "p99", "memory", "failed")
    return Measured(*(statistics.median(getattr(value, field) for value in values) for field in fields))


def show(results: dict[Key, list[Measured]], others: list[str]) -> None:
    """The table; the last columns say how many times our CPU time per request the peers need."""
    print("| " + " | ".join((*COLUMNS, *(f"of {name}'s CPU" for name in others))) + " |")
    print("|" + "---|" * (len(COLUMNS) + len(others)))
    for (model, name, count), values in results.items():
        found = median(values)
        cells = [model, name, count, f"{found.rate:,.0f}", f"{found.cpu:,.0f}", f"{found.p50:.2f}",
                 f"{found.p99:.2f}", f"{found.memory:.0f}", f"{found.failed:.0f}"]  # fmt: skip
        for other in others:
            peer = results.get((model, other, count))
            ours = name.startswith("slipway") and peer
            cells.append(f"1/{median(peer).cpu / found.cpu:.1f}" if ours else "")
        print("| " + " | ".join(map(str, cells)) + " |")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="of load per measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", default="1,32,128")
    parser.add_argument("--models", default="tabular,mlp,convnet")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--only", default="http,table,compute,restart,overload,crowd", help="parts to run")
    parser.add_argument("--crowd-seconds", type=float, default=60.0)
    return parser.parse_args()


def table(options: argparse.Namespace, subjects: list[Subject], connections: list[int], folder: Path) -> None:
    found = peers([name for name in options.peers.split(",") if name])
    results: dict[Key, list[Measured]] = {}
    for _ in range(options.rounds):
        for key, measured in one_round(
            [PLAIN, INFER, BINARY, *found], subjects, connections, options.seconds, folder
        ):
            results.setdefault(key, []).append(measured)
    show(results, [contender.name for contender in found])


def main() -> int:
    options = parse()
    # So that a benchmark that is told to end takes its servers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    missing = [tool for tool in ("wrk", "taskset") if shutil.which(tool) is None]
    if missing or (os.cpu_count() or 1) < 2:
        needed = ", ".join(missing) or "wrk, taskset"
        print(f"nothing measured: needs two CPUs and {needed} (apt-get install wrk util-linux)")
        return 0
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}; "
          f"load average {os.getloadavg()[0]:.1f} at the start")  # fmt: skip
    parts = options.only.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = {subject.name: subject for subject in build(folder)}
        connections = [int(count) for count in options.connections.split(",")]
        if "http" in parts:
            http_servers.show(subjects["tabular"], folder, connections, options.rounds, options.seconds)
        if "table" in parts:
            chosen = [subjects[name] for name in options.models.split(",")]
            table(options, chosen, connections, folder)
        if "compute" in parts:
            compute.show(subjects["convnet"], folder, options.rounds)
        if "restart" in parts:
            restart.show(subjects["tabular"], folder)
        if "overload" in parts:
            overload.show(folder)
        if "crowd" in parts:
            crowd.show(subjects["tabular"], folder, options.crowd_seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
