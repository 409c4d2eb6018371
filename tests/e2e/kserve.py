"""What KServe's controller does without Knative, for a cluster that has its CRD and not the controller.

It makes a Deployment of each InferenceService, so that real pods run from what we asked KServe for, and writes
the condition that says whether they do.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from tests.e2e.place import APPLY, MERGE, Place, Refused

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
# Of a predictor, what is no pod's.
OWN = {"minReplicas", "maxReplicas", "labels", "annotations", "deploymentStrategy"}


class Predictors:
    """Runs InferenceServices in a thread until it is stopped."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopped.wait(0.3):
            with contextlib.suppress(Refused, OSError, Exception):
                for item in self._place.call("GET", SERVICES.format(self._place.name))["items"]:
                    self._make(item)

    def _make(self, item: dict[str, Any]) -> None:
        meta, predictor = item["metadata"], item["spec"]["predictor"]
        name = f"{meta['name']}-predictor"
        both = {key: {**meta.get(key, {}), **predictor.get(key, {})} for key in ("labels", "annotations")}
        owner = {
            "apiVersion": item["apiVersion"], "kind": item["kind"], "name": meta["name"], "uid": meta["uid"],
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        pod = {key: value for key, value in predictor.items() if key not in OWN}
        app = {"app": f"isvc.{name}"}
        wanted = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, **both, "ownerReferences": [owner]},
            "spec": {
                "replicas": predictor["minReplicas"],
                "selector": {"matchLabels": app},
                "strategy": predictor["deploymentStrategy"],
                "template": {"metadata": {**both, "labels": {**both["labels"], **app}}, "spec": pod},
            },
        }
        path = f"{DEPLOYMENTS.format(self._place.name)}/{name}"
        made = self._place.call("PATCH", path, wanted, APPLY, fieldManager="e2e-kserve", force="true")
        ready = made.get("status", {}).get("readyReplicas", 0) >= predictor["minReplicas"]
        condition = {
            "type": "PredictorReady", "status": str(ready), "reason": "" if ready else "NotReady", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        if item.get("status", {}).get("conditions", [{}])[0].get("status") != condition["status"]:
            path = f"{SERVICES.format(self._place.name)}/{meta['name']}/status"
            self._place.call("PATCH", path, {"status": {"conditions": [condition]}}, MERGE)
