"""From SIGKILL to ready again on an artifact that is in the cache."""

from __future__ import annotations

import hashlib
import os
import signal
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

from contenders import BASE, slipway
from models import Subject

LIMIT_SECONDS = 2.0


def show(subject: Subject, folder: Path, times: int = 5) -> None:
    """Print the median and the worst of some restarts."""
    digest = f"sha256:{hashlib.sha256(subject.path.read_bytes()).hexdigest()}"
    command = [*slipway(subject, folder), "--digest", digest]
    took = []
    process = _started(command)
    for _ in range(times):
        process.send_signal(signal.SIGKILL)
        process.wait()
        start = time.monotonic()
        process = _started(command)
        took.append(time.monotonic() - start)
    process.kill()
    process.wait()
    print(f"\nSIGKILL to ready, {subject.name}, artifact on disk: median {statistics.median(took):.2f} s, "
          f"worst {max(took):.2f} s of {times} (limit {LIMIT_SECONDS:.0f} s)", flush=True)  # fmt: skip


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            with urllib.request.urlopen(f"{BASE}/v2/health/ready", timeout=1) as response:
                if response.status == 200:
                    return process
        except OSError:
            time.sleep(0.005)
