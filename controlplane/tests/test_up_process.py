"""`manage.py up` as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.stack


def until(condition, seconds=40.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Up:
    """A terminal in which `manage.py up` runs."""

    def __init__(self, home, port):
        self.home = home
        self.port = port
        self.process = None

    def command(self, **changes):
        environment = {
            **os.environ,
            "SLIPWAY_HOME": str(self.home),
            "SLIPWAY_PORT": str(self.port),
            **changes,
        }
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        return {"args": [sys.executable, "manage.py", "up"], "cwd": ROOT, "env": environment}

    def start(self):
        self.out = self.home.with_suffix(f".{time.monotonic_ns()}")
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(**self.command(), stdout=out, stderr=out, start_new_session=True)
        started = time.monotonic()
        until(lambda: "Slipway is ready" in self.said() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()
        return time.monotonic() - started

    def said(self):
        return self.out.read_text()

    def run(self):
        return json.loads((self.home / "run.json").read_text())

    def family(self):
        return [item.pid for item in psutil.Process(self.process.pid).children(recursive=True)]

    def refused(self, **changes):
        done = subprocess.run(**self.command(**changes), capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        return done.stderr

    def healthz(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def end(self):
        if self.process is not None and self.process.poll() is None:
            family = self.family()
            self.process.kill()
            self.process.wait()
            for pid in family:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def up(tmp_path):
    from controlplane.up.place import gateway_port

    found = Up(tmp_path / "home", gateway_port(tmp_path, 0))
    yield found
    found.end()


def test_up_starts_everything_survives_kills_and_leaves_nothing_behind(up):
    up.start()
    assert up.healthz()
    assert "sign in as admin with the password " in up.said()
    run = up.run()
    assert set(run["services"]) == {"gateway", "fleet", "scrape", "web", "tick", "intake"}
    with urllib.request.urlopen(f"{run['gateway_url']}/-/health", timeout=5) as answer:
        assert answer.status == 200
    assert up.home.stat().st_mode & 0o777 == 0o700

    assert f"port {up.port} is in use" in up.refused(SLIPWAY_HOME=str(up.home.with_name("other")))
    assert f"Slipway is running at http://127.0.0.1:{up.port} (pid {up.process.pid})" in up.refused()

    for name in ("web", "tick", "intake", "gateway"):
        os.kill(up.run()["services"][name]["pid"], signal.SIGKILL)
        until(lambda name=name: f"{name} is back" in up.said(), 15)
    assert up.healthz()

    family = up.family()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0
    assert len(family) >= 7 and [pid for pid in family if alive(pid)] == []


def test_a_second_start_keeps_the_state_and_the_gateway_s_port(up):
    up.start()
    first = up.run()["gateway_port"]
    secret = (up.home / "secret_key").read_bytes()
    up.process.kill()  # not even a goodbye
    up.process.wait()
    up.start()
    assert up.run()["gateway_port"] == first
    assert (up.home / "secret_key").read_bytes() == secret
    assert "database ready\n" in up.said()
