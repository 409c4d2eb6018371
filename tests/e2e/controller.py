"""What a Gateway's controller does for a cluster that has none: it takes over each HTTPRoute's newest generation."""

from __future__ import annotations

import contextlib
import threading

from tests.e2e.place import MERGE, Place, Refused

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"


class Controller:
    """Accepts routes in a thread until it is stopped; `frozen` while it is to do nothing."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.frozen = False
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            if not self.frozen:
                with contextlib.suppress(Refused, OSError, Exception):
                    self._look()

    def _look(self) -> None:
        path = ROUTES.format(self._place.name)
        for route in self._place.call("GET", path)["items"]:
            generation = route["metadata"]["generation"]
            parents = route.get("status", {}).get("parents", [])
            seen = [one["observedGeneration"] for parent in parents for one in parent["conditions"]]
            if seen and min(seen) >= generation:
                continue
            conditions = [
                {
                    "type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": generation,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
                for kind in ("Accepted", "ResolvedRefs")
            ]  # fmt: skip
            parent = {"parentRef": route["spec"]["parentRefs"][0], "controllerName": "slipway.dev/e2e", "conditions": conditions}  # fmt: skip
            name = route["metadata"]["name"]
            self._place.call("PATCH", f"{path}/{name}/status", {"status": {"parents": [parent]}}, MERGE)
