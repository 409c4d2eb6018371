"""From the last release of another schema to this one while requests run: nobody gets a 5xx."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.production.plant import repeating
from tests.servers.postgres import Postgres
from tests.servers.waiting import ROOT, eventually, free_port

pytestmark = pytest.mark.stack
TOKEN = """
from django.contrib.auth.models import User
from registry.domain.actor import SYSTEM
from registry.tokens import create_token
ada = User.objects.create_superuser("ada", password="a-long-password")
print("token:" + create_token(user=ada, name="load", actor=SYSTEM, reason="load")[1])
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code as it was before the newest migration; skips where git does not know it."""
    newest = _git("log", "-1", "--format=%H", "--", "*/migrations/0*.py")
    if not newest or not _git("rev-parse", "--verify", "-q", f"{newest}^"):
        pytest.skip("no history in this checkout: `git fetch --unshallow` runs this test")
    folder = tmp_path_factory.mktemp("before")
    with subprocess.Popen(["git", "archive", f"{newest}^"], cwd=ROOT, stdout=subprocess.PIPE) as archive:
        assert archive.stdout is not None
        with tarfile.open(fileobj=archive.stdout, mode="r|") as tar:
            tar.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_requests_go_on_while_the_schema_and_the_code_change(
    before: Path, postgres: Postgres, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "SLIPWAY_HOME": str(tmp_path / "home"),
        "SLIPWAY_SECRET_KEY": "the same for both",
        "SLIPWAY_DATABASE_URL": postgres.create("upgrade"),
    }
    _manage(before, environment, "migrate", "-v", "0")
    said = _manage(before, environment, "shell", "-v", "0", "-c", TOKEN)
    load = Load(next(line for line in said.splitlines() if line.startswith("token:"))[6:])
    with _web(before, environment, tmp_path) as old, _web(ROOT, environment, tmp_path) as new:
        eventually(lambda: _status(old, "healthz") == 200, 90, lambda: "the old one never answered")
        eventually(lambda: _status(new, "healthz") == 200, 90, lambda: "the new one never answered")
        # As behind a load balancer: who is not ready gets no requests.
        assert _status(new, "readyz") == 503
        load.targets = [old]
        with repeating(load.send, 0.01) as seen:
            _manage(ROOT, environment, "migrate", "-v", "0")
            eventually(lambda: _status(new, "readyz") == 200, 30, lambda: "the new one is never ready")
            _some_more(seen)
            load.targets = [old, new]
            _some_more(seen)
            load.targets = [new]
            _some_more(seen)
    assert seen[200] and seen[201] and set(seen) == {200, 201}, (seen, load.bad)


class Load:
    """Reads and writes in turn, at each of `targets` in turn."""

    def __init__(self, token: str) -> None:
        self.targets: list[str] = []
        self.bad: list[str] = []
        self._headers = {"Authorization": f"Bearer {token}"}
        self._numbers = itertools.count()

    def send(self) -> int:
        """One request; its status."""
        number = next(self._numbers)
        base = self.targets[number // 5 % len(self.targets)]
        path = ("models", "endpoints", "rollouts", "audit")[number % 5] if number % 5 < 4 else "models"
        ask = {"json": {"name": f"load-{number}"}} if number % 5 == 4 else {}
        method = "POST" if ask else "GET"
        answer = requests.request(method, f"{base}/api/v1/{path}", headers=self._headers, timeout=30, **ask)
        if answer.status_code not in {200, 201}:
            self.bad.append(f"{method} {base}/api/v1/{path}: {answer.status_code} {answer.text[:300]}")
        return answer.status_code


def _some_more(seen: Counter[int], requests_more: int = 40) -> None:
    """Waits until so many more requests were answered."""
    wanted = seen.total() + requests_more
    eventually(lambda: seen.total() >= wanted, 60, lambda: f"only {seen.total()} of {wanted} answers")


def _manage(code: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=code, env=environment, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@contextmanager
def _web(code: Path, environment: dict[str, str], folder: Path) -> Iterator[str]:
    """gunicorn on this code; its address."""
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "controlplane.wsgi:application", "--bind", f"127.0.0.1:{port}",
        "--worker-class", "gthread", "--threads", "4", "--no-control-socket", "--log-level", "warning",
    ]  # fmt: skip
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=code, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _status(base: str, path: str) -> int:
    try:
        return requests.get(f"{base}/{path}", timeout=10).status_code
    except requests.RequestException:
        time.sleep(0.2)
        return 0
