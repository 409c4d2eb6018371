"""The whole embedded stack as a user starts it, in a folder and on a port of its own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests

from deploy.demo.models.manifest import read_manifest
from tests.servers.process import ended
from tests.servers.waiting import ROOT, eventually, free_port

# Training the models takes most of it, on a machine that is busy with other tests.
START_SECONDS = 300
STOP_SECONDS = 30


@dataclass
class Stack:
    """A running `manage.py demo`: where it answers and how to speak to it."""

    home: Path
    access: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.access["base_url"])

    def user(self, role: str) -> tuple[str, str]:
        """User name and password."""
        account = self.access["users"][role]
        return account["user"], account["password"]

    def api(self, method: str, path: str, document: dict[str, Any] | None = None) -> requests.Response:
        """One request to the REST API as the admin."""
        token = self.access["users"]["admin"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(
            method, f"{self.url}/api/v1/{path}", headers=headers, json=document, timeout=30
        )

    def versions_that_answer(self, endpoint: str, count: int) -> Counter[str]:
        """Which versions answered so many requests; a failed request counts as its status."""
        body = {"features": self.rows("diabetes")[0]}
        answered: Counter[str] = Counter()
        for _ in range(count):
            response = requests.post(
                f"{self.access['gateway_url']}/{endpoint}/predict", json=body, timeout=10
            )
            answered[response.headers["x-slipway-version"] if response.ok else str(response.status_code)] += 1
        return answered

    def rows(self, model: str) -> list[list[float]]:
        """Held-out feature rows of a demo model."""
        folder = self.home / "demo-models"
        held_out = next(item["held_out"] for item in read_manifest(folder)["models"] if item["name"] == model)
        with np.load(folder / held_out) as data:
            rows: list[list[float]] = data["X"].tolist()
        return rows

    @contextmanager
    def traffic(self, endpoint: str, per_second: float = 60) -> Iterator[None]:
        """Held-out rows to an endpoint in the background."""
        stop = threading.Event()
        sender = threading.Thread(target=self._send, args=(endpoint, per_second, stop), daemon=True)
        sender.start()
        try:
            yield
        finally:
            stop.set()
            sender.join()

    def _send(self, endpoint: str, per_second: float, stop: threading.Event) -> None:
        rows = self.rows("diabetes")
        url = f"{self.access['gateway_url']}/{endpoint}/predict"
        with requests.Session() as session:
            for index in range(1_000_000):
                if stop.wait(1 / per_second):
                    return
                session.post(url, json={"features": rows[index % len(rows)]}, timeout=10)


@dataclass
class Process:
    """`manage.py demo`, with its output kept for the message of a failed start."""

    home: Path
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Stack:
        self.log = (self.home.parent / "demo.log").open("w+")
        environment = {**os.environ, "SLIPWAY_HOME": str(self.home), "SLIPWAY_PORT": str(self.port)}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        self._models()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT, env=environment, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            eventually(self._answers, START_SECONDS, self._why)
        except BaseException:
            self.__exit__()
            raise
        return Stack(self.home, json.loads((self.home / "demo.json").read_text()))

    def __exit__(self, *_: object) -> None:
        try:
            ended(self.process, signal.SIGINT, STOP_SECONDS, group=True)
        finally:
            self.log.close()

    def _models(self) -> None:
        """The demo's models, trained once in a run of tests, as a stack that was here before would find them."""
        # pytest's folder of this run, which its processes share.
        run = next(
            (up for up in self.home.parents if up.parent.name.startswith("pytest-of-")), self.home.parent
        )
        trained = run / "demo-models"
        with (run / "demo-models.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (trained / "manifest.json").exists():
                command = [sys.executable, "-m", "deploy.demo.models", str(trained)]
                subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=START_SECONDS)
        shutil.copytree(trained, self.home / "demo-models", dirs_exist_ok=True)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(self._why())
        if not (self.home / "demo.json").exists():
            return False
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def _why(self) -> str:
        self.log.seek(0)
        return f"the demo did not start:\n{self.log.read()[-3000:]}"
