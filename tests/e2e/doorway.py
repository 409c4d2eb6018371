"""The door that users come through: the address of a gateway that really routes, and what came back from behind it."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import threading
from dataclasses import dataclass, field
from typing import Any

import urllib3

# Where Istio's ingress gateway answers, and the Gateway object that its listener belongs to.
ISTIO_URL = os.environ.get("SLIPWAY_E2E_ISTIO_URL", "")
ISTIO_GATEWAY = os.environ.get("SLIPWAY_E2E_ISTIO_GATEWAY", "istio-system/public")
# The same for SLIPWAY_E2E_GATEWAY, by which HTTPRoutes are taken over.
GATEWAY_URL = os.environ.get("SLIPWAY_E2E_GATEWAY_URL", "")
HOST = "models.e2e.slipway.dev"


@dataclass
class Door:
    """One endpoint behind a gateway; `answers` counts what came back by version and status."""

    url: str
    endpoint: str
    model: str
    answers: collections.Counter[tuple[str, int]] = field(default_factory=collections.Counter)
    # What the last answer asked the client to keep.
    cookie: str = ""
    _pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def ask(self, **headers: str) -> tuple[str, int]:
        """One prediction; the version that answered ("" for none of ours) and the status."""
        body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}
        given: dict[str, Any] = {"Host": HOST, "Content-Type": "application/json", **headers}
        response = self._pool.request(
            "POST", f"{self.url}/{self.endpoint}/v2/models/{self.model}/infer",
            headers=given, body=json.dumps(body), timeout=10,
        )  # fmt: skip
        answer = response.headers.get("x-slipway-version", ""), response.status
        self.answers[answer] += 1
        self.cookie = response.headers.get("set-cookie", "").partition(";")[0]
        return answer

    def share(self, version: str, requests: int) -> float:
        """Of so many requests, the part that this version answered."""
        self.answers.clear()
        for _ in range(requests):
            self.ask()
        return sum(count for (by, _), count in self.answers.items() if by == version) / requests

    @contextlib.contextmanager
    def busy(self) -> Any:
        """Somebody asks all the time, twenty times a second."""
        stopped = threading.Event()
        self.answers.clear()

        def run() -> None:
            while not stopped.wait(0.05):
                self.ask()

        asking = threading.Thread(target=run, daemon=True)
        asking.start()
        try:
            yield
        finally:
            stopped.set()
            asking.join(20)
