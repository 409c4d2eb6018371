"""Requests as a router would send them, by the very route in the cluster, and what the servers say they counted.

Both go through the API server's proxy to pods, so that nothing outside needs to reach the pod network.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from monitoring.adapters.memory import MemorySource
from tests.e2e.place import Place, Refused, ready

VALUES = (0, 1, 2, 3, 7)  # the bad model knows no answer for 7


class Traffic:
    """Sends and scrapes in a thread until it is stopped; counts the answers by version and status."""

    def __init__(self, place: Place, endpoint: str, model: str, shares: Any) -> None:
        self._place, self._endpoint, self._model, self._shares = place, endpoint, model, shares
        self.metrics = MemorySource()
        self.answered: dict[tuple[str, bool], int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(20)

    def _run(self) -> None:
        for turn in itertools.count():
            if self._stopped.wait(0.05):
                return
            with contextlib.suppress(Refused, OSError, Exception):
                self._round(turn)

    def _round(self, turn: int) -> None:
        """Ten requests for each version that has a share or gets copies, then one look at every counter."""
        pods = [pod for pod in self._place.pods(self._endpoint) if ready(pod)]
        by_version = {pod["metadata"]["labels"]["slipway.dev/version"]: pod for pod in pods}
        for version in self._shares():
            if version in by_version:
                for number in range(10):
                    self._ask(by_version[version], version, VALUES[(turn + number) % len(VALUES)])
        for pod in pods:
            self._scrape(pod)

    def _ask(self, pod: dict[str, Any], version: str, value: float) -> None:
        body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [value]}]}
        path = f"/pods/{pod['metadata']['name']}:8080/proxy/v2/models/{self._model}/infer"
        try:
            self._place.call("POST", path, body)
            good = True
        except Refused:
            good = False
        self.answered[version, good] = self.answered.get((version, good), 0) + 1

    def _scrape(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        text = self._place.call("GET", f"/pods/{name}:8080/proxy/metrics")
        now = time.time()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self.metrics.add(sample.name, {**sample.labels, "instance": name}, now, sample.value)
