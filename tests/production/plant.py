"""`manage.py stack` as a user starts it, in a folder of its own, and what breaks it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests

from registry.tests import onnx_files
from tests.servers.process import ended
from tests.servers.waiting import ROOT, eventually, free_port

START_SECONDS, STOP_SECONDS = 240, 60
CONFIGURED = {
    "postgres": "postgres/data/postgresql.conf",
    "redis": "redis/redis.conf",
    "prometheus": "prometheus/prometheus.yml",
}


@dataclass
class Plant:
    """The stack: start, stop, lose a server for a while, and speak to it."""

    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="slipway-stack-")) / "home")
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        # As root, PostgreSQL runs as another user, who must reach its folder.
        self.home.parent.chmod(0o711)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.home.parent, ignore_errors=True)

    def start(self) -> None:
        """Starts everything and waits until it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
        environment |= {"SLIPWAY_HOME": str(self.home), "SLIPWAY_PORT": str(self.port)}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        with (self.home.parent / "stack.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "stack"],
                cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        eventually(self._ready, START_SECONDS, self.why)
        self.access = json.loads((self.home / "stack.json").read_text())

    def stop(self) -> None:
        """What Ctrl-C does."""
        ended(self.process, signal.SIGINT, STOP_SECONDS, group=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What each service knows, for commands run beside them."""
        services = json.loads((self.home / "services.json").read_text())["services"]
        return {**os.environ, **services[0]["env"]}

    def run(self) -> dict[str, Any]:
        """run.json: pids, ports, restarts."""
        found: dict[str, Any] = json.loads((self.home / "run.json").read_text())
        return found

    def user(self, role: str) -> tuple[str, str]:
        """User name and password."""
        account = self.access["users"][role]
        return account["user"], account["password"]

    def api(self, method: str, path: str, role: str = "admin", **keywords: Any) -> requests.Response:
        """One request to the REST API."""
        headers = {"Authorization": f"Bearer {self.access['users'][role]['token']}"}
        url = f"{self.url}/api/v1/{path}"
        return requests.request(method, url, headers=headers, timeout=30, **keywords)

    def must(self, method: str, path: str, role: str = "admin", **keywords: Any) -> dict[str, Any]:
        """The document of a request that must succeed."""
        answer = self.api(method, path, role, **keywords)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        document: dict[str, Any] = answer.json()
        return document

    def register(self, model: str, weight: float) -> int:
        """A version that answers `weight` times the sum of three features; its number."""
        content = onnx_files.linear(weight=weight).SerializeToString()
        files = {"artifact": ("model.onnx", content)}
        data = {"metadata": json.dumps({"label": f"{weight:.0f}.0.0"})}
        return int(
            self.must("POST", f"models/{model}/versions", "engineer", data=data, files=files)["number"]
        )

    def predict(self, endpoint: str) -> tuple[int, str]:
        """The status and the version of one answer of the gateway; 0 when nobody answered."""
        url = f"{self.access['gateway_url']}/{endpoint}/predict"
        try:
            answer = requests.post(url, json={"features": [1.0, 2.0, 3.0]}, timeout=10)
        except requests.RequestException:
            return 0, ""
        return answer.status_code, answer.headers.get("x-slipway-version", "")

    def answers(self, endpoint: str, version: int, times: int = 5) -> bool:
        """Whether so many requests in a row reach this version."""
        return all(self.predict(endpoint) == (200, str(version)) for _ in range(times))

    @contextmanager
    def traffic(self, endpoint: str, every: float = 0.05) -> Iterator[Counter[int]]:
        """Light load on the endpoint in the background; the statuses so far."""
        with repeating(lambda: self.predict(endpoint)[0], every) as seen:
            yield seen

    @contextmanager
    def without(self, server: str) -> Iterator[None]:
        """The server is killed and cannot come back inside; afterwards the supervisor starts it, not we."""
        # Without its configuration it ends as soon as it is started.
        file = self.home / CONFIGURED[server]
        away = file.with_name(f"{file.name}.away")
        file.rename(away)
        pid = self.run()["services"][server]["pid"]
        os.kill(pid, signal.SIGQUIT if server == "postgres" else signal.SIGKILL)
        try:
            yield
        finally:
            away.rename(file)

    def manage(self, *arguments: str) -> str:
        """What a management command printed, with the settings of the stack."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def ready(self) -> dict[str, Any]:
        """What /readyz says; its status code under `code`, 0 when nobody answers."""
        try:
            answer = requests.get(f"{self.url}/readyz", timeout=15)
        except requests.RequestException as error:
            return {"code": 0, "status": str(error)}
        return {"code": answer.status_code, **answer.json()}

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.why()
        try:
            return bool(self.run()["ready"]) and self.ready()["status"] == "ok"
        except (OSError, ValueError, KeyError):
            return False

    def why(self) -> str:
        """The end of what the supervisor and its services said."""
        logs = [self.home.parent / "stack.log", *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-600:]}" for log in logs)


@contextmanager
def repeating(work: Callable[[], int], every: float) -> Iterator[Counter[int]]:
    """Calls `work` again and again in a thread, and counts what it returns."""
    seen: Counter[int] = Counter()
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            seen[work()] += 1
            stop.wait(every)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def pause(seconds: float) -> None:
    """Lets an outage last."""
    time.sleep(seconds)
