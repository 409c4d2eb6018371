"""A large upload that is killed again and again: does it end with the right digest, in how much memory?

`python benchmarks/uploads/run.py [--quick] [--size MB] [--stores folder,s3]`: a real web server, a real
worker and a real S3 service (LocalStack) in processes of their own. The client, the web worker and the intake
are killed with SIGKILL at random moments. Printed: the digest's verdict, and the peak memory of each process
over what it had before the upload.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import requests

from benchmarks.uploads import endpoints
from benchmarks.uploads.endpoints import process
from tests.servers.waiting import ROOT, free_port

CHUNK = 16 << 20
LIMIT_MIB = 64
KILLS = 12
PATIENCE = 1800.0
SETUP = """
from django.contrib.auth.models import User
from registry import services, tokens
from registry.domain.actor import SYSTEM
user = User.objects.create_superuser("bench", password="a long password")
services.create_model(name="large", actor=SYSTEM)
print(tokens.create_token(user=user, name="bench", actor=SYSTEM)[1])
"""


def write_model(path: Path, size: int) -> str:
    """A safetensors file of `size` bytes, no two chunks alike; its digest."""
    data = size - 8 - 96
    head = json.dumps({"w": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).ljust(96).encode()
    sha, noise, left, number = hashlib.sha256(), os.urandom(CHUNK), data, 0
    with path.open("wb") as file:
        for piece in (len(head).to_bytes(8, "little"), head):
            sha.update(piece)
            file.write(piece)
        while left:
            piece = (number.to_bytes(8, "little") + noise[8:])[:left]
            sha.update(piece)
            file.write(piece)
            left, number = left - len(piece), number + 1
    return f"sha256:{sha.hexdigest()}"


# --- the client: a process that may be killed at any moment ----------------------------------------


def client(base: str, token: str, file: Path, digest: str, memo: Path) -> None:
    """Send what is missing of the file, complete it, register the version; begin anew after any break."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    uploads = f"{base}/api/v1/models/large/uploads"
    if not memo.exists():
        body = {"size": file.stat().st_size, "digest": digest, "filename": "large.safetensors"}
        memo.write_text(session.post(uploads, json=body, timeout=60).json()["id"])
    address = f"{uploads}/{memo.read_text()}"
    found = session.get(address, timeout=60).json()
    there = set(found["received"])
    with file.open("rb") as source:
        for number in range(1, found["parts"] + 1):
            if number in there:
                continue
            part = session.get(f"{address}/parts/{number}", timeout=60).json()
            source.seek(part["offset"])
            content = source.read(part["size"])
            sender = requests if part["direct"] else session
            sender.put(part["url"], data=content, timeout=120).raise_for_status()
    session.post(f"{address}/complete", timeout=300).raise_for_status()
    versions = f"{base}/api/v1/models/large/versions"
    key = {"Idempotency-Key": memo.read_text()}
    body = {"upload": memo.read_text()}
    session.post(versions, json=body, headers=key, timeout=60).raise_for_status()


# --- the servers ------------------------------------------------------------------------------------


@dataclass
class Watch(threading.Thread):
    """The highest resident memory of the processes below a name, in KiB."""

    pids: dict[str, int] = field(default_factory=dict)
    base: dict[str, int] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while True:
            for name, pid in list(self.pids.items()):
                for one in (pid, *children(pid)):
                    self._see(name, one)
            time.sleep(0.1)

    def _see(self, name: str, pid: int) -> None:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            # Inspections have limits of their own, which the tests check.
            if b"registry.inspect" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return
        except OSError:
            return
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "VmHWM" in lines:
            self.peak[name] = max(self.peak.get(name, 0), int(lines["VmHWM"].split()[0]))


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def until(true: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code < 500
    except requests.RequestException:
        return False


def s3_environment(stack: ExitStack, home: Path, service: endpoints.Service) -> dict[str, str]:
    """The settings of a server that keeps its artifacts at the running service."""
    started = {"cwd": home, "env": {**os.environ, **service.environment}, "preexec_fn": service.limit}
    stack.enter_context(process(service.command, home / "s3.log", **started))
    try:
        until(lambda: answers(service.ready), 300, service.name)
    except SystemExit:
        print((home / "s3.log").read_text()[-3000:])
        raise
    endpoints.bucket(service, "bench")
    return endpoints.KEYS | {
        "SLIPWAY_ARTIFACT_STORE": "registry.adapters.s3.S3Store",
        "SLIPWAY_S3_BUCKET": "bench",
        "SLIPWAY_S3_ENDPOINT": service.url,
    }


# --- one run ----------------------------------------------------------------------------------------


def run(store: str, size: int, dice: random.Random) -> bool:
    home = Path(tempfile.mkdtemp(prefix="slipway-uploads-"))
    try:
        with ExitStack() as stack:
            return measured(store, size, dice, home, stack)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def measured(store: str, size: int, dice: random.Random, home: Path, stack: ExitStack) -> bool:
    environment = {
        **os.environ,
        "SLIPWAY_HOME": str(home / "state"),
        "SLIPWAY_LOG_LEVEL": "WARNING",
        "TMPDIR": str(home),
    }
    (home / "state").mkdir()
    if store == "s3":
        service = endpoints.choose(home)
        size = min(size, service.most or size)
        environment |= s3_environment(stack, home, service)
        store = f"s3 ({service.name})"
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v", "0"], cwd=ROOT, env=environment, check=True)
    told = subprocess.run(
        [*manage, "shell", "-v", "0", "-c", SETUP], cwd=ROOT, env=environment, check=True, capture_output=True
    )
    token = told.stdout.decode().split()[-1]
    file = home / "large.safetensors"
    digest = write_model(file, size)

    port = free_port()
    base = f"http://127.0.0.1:{port}"
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "controlplane.wsgi:application",
        "--bind",
        f"127.0.0.1:{port}",
    ]
    gunicorn += ["--worker-class", "gthread", "--workers", "1", "--threads", "4", "--no-control-socket"]
    web = stack.enter_context(process(gunicorn, home / "web.log", cwd=ROOT, env=environment))
    until(lambda: answers(f"{base}/healthz"), 300, "the web server")
    headers = {"Authorization": f"Bearer {token}"}
    version = f"{base}/api/v1/models/large/versions/1"
    requests.get(version, headers=headers, timeout=20)
    watch = Watch()
    watch.pids["web"] = web.pid
    watch.start()
    time.sleep(1)
    watch.base["web"] = watch.peak["web"]
    watch.base["intake"] = idle_intake(home, environment)

    begun = time.monotonic()
    killed = send_with_kills(base, token, file, digest, home, web, dice)
    sent = time.monotonic() - begun
    killed["intake"] = intake_with_kills(version, headers, home, environment, watch, dice)
    found = requests.get(version, headers=headers, timeout=20).json()
    right = found["state"] == "ready" and found["digest"] == digest
    wall = time.monotonic() - begun
    print(f"\n{store}: {size >> 20} MiB sent in {sent:.0f} s, settled after {wall:.0f} s; killed: {killed}")
    print(f"  state {found['state']}, digest {'right' if right else 'WRONG'}: {found['digest']}")
    bounded = True
    for name, peak in watch.peak.items():
        idle = watch.base[name]
        grown = (peak - idle) / 1024
        bounded = bounded and grown < LIMIT_MIB
        print(f"  {name}: peak {peak / 1024:.0f} MiB, {grown:.0f} MiB more than idle ({idle / 1024:.0f})")
    if not right:
        print(found.get("problem"), (home / "web.log").read_text()[-2000:])
    return right and bounded


def send_with_kills(
    base: str,
    token: str,
    file: Path,
    digest: str,
    home: Path,
    web: subprocess.Popen[bytes],
    dice: random.Random,
) -> dict[str, int]:
    """Clients one after another until one ends well; some are killed, some lose their server."""
    killed = {"client": 0, "web worker": 0}
    command = [sys.executable, __file__, "--client", base, token, str(file), digest, str(home / "memo")]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        sender = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        status = None
        while status is None:
            again = sum(killed.values()) < KILLS
            try:
                status = sender.wait(dice.uniform(0.5, file.stat().st_size / (450 << 20)) if again else 900)
            except subprocess.TimeoutExpired:
                victim = dice.choice(["client", "web worker"])
                killed[victim] += 1
                # Parts may go past the web worker: the client lives on until it needs it.
                for pid in children(web.pid) if victim == "web worker" else [sender.pid]:
                    os.kill(pid, signal.SIGKILL)
        if status == 0:
            return killed
        until(lambda: answers(f"{base}/healthz"), 300, "the web server")
    raise SystemExit("the upload did not end")


def intake_with_kills(
    version: str,
    headers: dict[str, str],
    home: Path,
    environment: dict[str, str],
    watch: Watch,
    dice: random.Random,
) -> int:
    """Workers one after another; two are killed in the middle, the third may finish."""
    command = [sys.executable, "manage.py", "intake"]
    for number in range(3):
        with process(command, home / "intake.log", cwd=ROOT, env=environment) as worker:
            watch.peak.setdefault("intake", 0)
            watch.pids["intake"] = worker.pid
            if number < 2:
                time.sleep(dice.uniform(0.5, 3))
                worker.kill()
                worker.wait()
                continue
            until(lambda: settled(version, headers), PATIENCE, "the intake")
    return 2


def settled(version: str, headers: dict[str, str]) -> bool:
    return requests.get(version, headers=headers, timeout=60).json()["state"] in {"ready", "refused"}


def idle_intake(home: Path, environment: dict[str, str]) -> int:
    """The memory of an intake that has nothing to do, once it has loaded what it needs, in KiB."""
    with process(
        [sys.executable, "manage.py", "intake"], home / "intake.log", cwd=ROOT, env=environment
    ) as worker:
        seen = [0, 1]
        until(lambda: seen.append(resident(worker.pid)) or len(set(seen[-20:])) == 1, 120, "an idle intake")
        return seen[-1]


def resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", nargs=5)
    parser.add_argument("--quick", action="store_true", help="500 MB instead of 5 GB")
    parser.add_argument("--size", type=int, help="MB of the file")
    parser.add_argument("--stores", default="folder,s3")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.client:
        base, token, file, digest, memo = options.client
        client(base, token, Path(file), digest, Path(memo))
        return
    size = (options.size or (500 if options.quick else 5_000)) * 1_000_000
    dice = random.Random(options.seed)
    good = [run(store, size, dice) for store in options.stores.split(",")]
    print(f"\nevery digest right and every process within {LIMIT_MIB} MiB: {'yes' if all(good) else 'NO'}")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
