"""Servers pinned to one CPU, wrk to another; what a run measured."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVER_CPU, CLIENT_CPU = "0", "1"
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True)
class Measured:
    """Requests per second, server CPU in µs per request, latency in ms, resident MiB, failed requests."""

    rate: float
    cpu: float
    p50: float
    p99: float
    memory: float
    failed: int


@contextmanager
def server(command: Sequence[str], ready: str, environ: Mapping[str, str]) -> Iterator[int]:
    """Run `command` pinned, wait until `ready` answers 200; yields the process id."""
    pinned = ["taskset", "-c", SERVER_CPU, *command]
    process = subprocess.Popen(
        pinned,
        env=dict(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        limit = time.monotonic() + 120
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"the server did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield process.pid
    finally:
        # Some servers leave their workers behind when they are killed; the group has them all.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (OSError, urllib.error.HTTPError):
        return False


def write_script(path: Path, body: bytes, headers: Mapping[str, str]) -> None:
    """A wrk script that posts `body`, which lies beside it as a file."""
    content = path.with_suffix(".body")
    content.write_bytes(body)
    lines = [
        'wrk.method = "POST"',
        f'local f = io.open("{content}", "rb")',
        'wrk.body = f:read("*a")',
        "f:close()",
    ]
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    path.write_text("\n".join(lines) + "\n")


def measure(
    process: int, url: str, script: Path, connections: int, seconds: int, warm_up: int = 1
) -> Measured:
    """Seconds of warm-up, then `seconds` of load."""
    if warm_up:
        wrk(url, script, connections, warm_up)
    before = cpu_seconds(process)
    text = wrk(url, script, connections, seconds)
    spent = cpu_seconds(process) - before
    requests = int(_found(r"(\d+) requests in", text))
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if not requests or (errors and int(errors[1]) > requests / 2):
        raise RuntimeError(f"{requests} answers, {errors[1] if errors else 0} of them errors")
    return Measured(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        cpu=spent / max(requests, 1) * 1e6,
        p50=_milliseconds(text, "50%"),
        p99=_milliseconds(text, "99%"),
        memory=_resident(process),
        failed=int(errors[1]) if errors else 0,
    )


def wrk(url: str, script: Path, connections: int, seconds: int) -> str:
    """What wrk says after posting for `seconds`."""
    command = ["taskset", "-c", CLIENT_CPU, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
               "--timeout", "30s", "--latency", "-s", str(script), url]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk said something else than expected:\n{text}")
    return match[1]


def _milliseconds(text: str, quantile: str) -> float:
    value, unit = re.search(rf"\n\s+{quantile}\s+([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(value) * _UNITS[unit]


def cpu_seconds(process: int) -> float:
    """User and system time of the process and all its descendants, in seconds."""
    times = [member.cpu_times() for member in _members(process)]
    return sum(one.user + one.system for one in times)


def _resident(process: int) -> float:
    return sum(member.memory_info().rss for member in _members(process)) / 2**20


def _members(process: int) -> list[psutil.Process]:
    parent = psutil.Process(process)
    return [parent, *parent.children(recursive=True)]
