"""Real fleets, gateways and supervisors as processes, with deadlines instead of sleeps."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psutil

from deploy.files import write_json

ROOT = Path(__file__).resolve().parents[3]
FAKE = (sys.executable, str(Path(__file__).with_name("fake_server.py")))


def until(condition, seconds=15.0):
    """What `condition()` gives as soon as it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {condition}")


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def get(url):
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.load(response)


class Home:
    """A SLIPWAY_HOME whose fleet runs fake servers."""

    def __init__(self, path, server=FAKE):
        self.path = path
        self.server = server
        self.process = None

    def want(self, *items, endpoint="d"):
        """`items`: (version, behaviour, further fields)."""
        workloads = [self.workload(*item) for item in items]
        document = {"endpoint": endpoint, "model": "m", "workloads": workloads}
        write_json(self.path / "fleet" / "desired" / f"{endpoint}.json", document)

    def workload(self, version, behaviour=None, changes=None):
        text = json.dumps(behaviour or {}).encode()
        digest = sha256(text).hexdigest()
        artifact = self.path / f"{digest}.json"
        artifact.write_bytes(text)
        return {"version": version, "digest": f"sha256:{digest}", "artifact": str(artifact)} | (changes or {})

    def start(self):
        command = [
            sys.executable, "-m", "deploy.fleet", "--home", str(self.path), "--gateway", "127.0.0.1:1",
            "--server", shlex.join(self.server),
        ]  # fmt: skip
        with (self.path / "fleet.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)

    def status(self, endpoint="d"):
        try:
            return json.loads((self.path / "fleet" / "status.json").read_text())["endpoints"].get(
                endpoint, []
            )
        except FileNotFoundError:
            return []

    def states(self):
        return [(item["version"], item["state"]) for item in self.status()]

    def ready(self, *versions):
        """Wait until exactly these versions' instances exist and are ready; returns their entries."""
        wanted = sorted((version, "ready") for version in versions)
        return until(lambda: self.status() if sorted(self.states()) == wanted else None)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=20):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def servers_of(home):
    """The pids of all servers of `home`, whoever started them."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get("SLIPWAY_FLEET_HOME") == str(home.resolve())
        except (psutil.Error, OSError):
            continue
        if marked and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


@contextmanager
def fleet(path, server=FAKE):
    """A home with a running fleet; afterwards nothing of it is left, whatever the test did."""
    home = Home(path, server)
    home.start()
    try:
        yield home
    finally:
        if home.process.poll() is None:
            home.kill()
        for pid in servers_of(path):
            os.kill(pid, signal.SIGKILL)
