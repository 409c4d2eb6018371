"""Three times the capacity: how much is still answered, and how late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from contenders import BASE, PORT
from load import CLIENT_CPU, cpu_seconds, server, write_script, wrk
from models import busy

HERE = Path(__file__).parent
BODY = '{"features":[[1,2]]}'
DEADLINE_MS = 1000
SECONDS = 5


def show(folder: Path) -> None:
    """Print goodput and latency at three times the capacity, open loop, and from clients in a tight loop."""
    path = folder / "busy.onnx"
    path.write_bytes(busy())
    command = [sys.executable, "-m", "deploy.serving", "--artifact", str(path), "--port", str(PORT),
               "--threads", "1", "--deadline-ms", str(DEADLINE_MS)]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    with server(command, f"{BASE}/health", environ) as process:
        before = _measured(process, lambda: _client(0, 32))
        rate = 3 * before["good"]
        loaded = _measured(process, lambda: _client(rate, 64))
        tight = _measured(process, lambda: _tight(folder))
        after = _measured(process, lambda: _client(0, 32))
    capacity = {name: (before[name] + after[name]) / 2 for name in ("good", "per_cpu")}
    print(f"\noverload: capacity {capacity['good']:,.0f}/s, {capacity['per_cpu']:,.0f} per CPU second "
          f"(deadline {DEADLINE_MS} ms; goodput of at least 90 % wanted)")  # fmt: skip
    print(f"  open loop at {rate:,.0f}/s: {_share(loaded, capacity)}; accepted p50 {loaded['p50']:.0f} ms, "
          f"p99 {loaded['p99']:.0f} ms; {loaded['refused']:,.0f}/s refused, {loaded['late']:,.0f}/s late, "
          f"{loaded['unsent']:,.0f}/s found none of {loaded['connections']:.0f} connections free, "
          f"{loaded['other']:.0f} other answers")  # fmt: skip
    print(f"  1,000 connections in a tight loop: {_share(tight, capacity)}", flush=True)


def _share(found: dict[str, float], capacity: dict[str, float]) -> str:
    return (f"goodput {found['good']:,.0f}/s = {found['good'] / capacity['good']:.0%}, "
            f"per CPU second {found['per_cpu'] / capacity['per_cpu']:.0%}")  # fmt: skip


def _measured(process: int, work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What `work` found, and the good answers per second of the server's CPU time."""
    before = cpu_seconds(process)
    found = work()
    found["per_cpu"] = found["good"] * SECONDS / max(cpu_seconds(process) - before, 1e-9)
    return found


def _client(rate: float, connections: int) -> dict[str, float]:
    command = ["taskset", "-c", CLIENT_CPU, sys.executable, str(HERE / "openloop.py"), str(PORT), str(rate),
               str(connections), str(SECONDS), BODY]  # fmt: skip
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _tight(folder: Path) -> dict[str, float]:
    """Good answers per second to wrk with a thousand connections, which asks again at once."""
    script = folder / "tight.lua"
    write_script(script, BODY.encode(), {"content-type": "application/json"})
    text = wrk(f"{BASE}/predict", script, 1000, SECONDS)
    requests = int(text.partition(" requests in")[0].split()[-1])
    refused = text.partition("Non-2xx or 3xx responses: ")[2].split()
    return {"good": (requests - int(refused[0] if refused else 0)) / SECONDS}
