"""As much of a Kubernetes API server and its controllers as the adapters speak to, over real HTTP, in memory.

kmock has no server-side apply, no resourceVersion preconditions and no owner references, which are what is tested
here. A real API server is used where KUBECONFIG names one (`make e2e`).
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes

from rollouts.adapters.kubernetes.api import MANAGER, Api
from rollouts.adapters.kubernetes.manifests import VERSION
from rollouts.adapters.kubernetes.seen import Namespace
from rollouts.adapters.kubernetes.target import Target, Targets

NAMESPACE = "models"
WRITES = ("POST", "PATCH")
SCALER = "serving.kserve.io/autoscalerClass"
# Who edits by hand.
EDITOR = "kubectl-edit"
TARGET = Target(
    namespace=NAMESPACE, image="registry.example/serving@sha256:" + "0" * 64, gateway={"name": "public"}
)


class Cluster:
    """Objects by (plural, name). `behaviour`: what becomes of a version's pods (ready unless said otherwise).

    faults: answers for the next requests instead of what they ask, as (status, headers, verb or "").
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.behaviour: dict[str, str] = {}
        self.faults: list[tuple[int, dict[str, str], str]] = []
        self.calls: Counter[tuple[str, str]] = Counter()
        self.forbidden: set[str] = set()
        # What callers must show; "": nothing.
        self.token = ""
        self.routes_frozen = False
        self.kserve_stopped = False
        # The number of the write, from 1, that fails as when etcd loses its leader; 0: none.
        self.breaks_at = 0
        self.stall_seconds = 0.0
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def apply(
        self, plural: str, name: str, body: dict[str, Any], operation: str = "Apply"
    ) -> tuple[int, Any]:
        with self._lock:
            present = self.objects.get((plural, name))
            asked = body["metadata"].pop("resourceVersion", None)
            if asked and (present is None or present["metadata"]["resourceVersion"] != asked):
                return 409, {"message": "the object has been modified"}
            found = deepcopy(present) if present else {"metadata": {"uid": f"uid-{next(self._numbers)}"}}
            changed = any(found.get(key) != value for key, value in body.items() if key != "metadata")
            for key, value in body["metadata"].items():
                merged = isinstance(value, dict)
                found["metadata"][key] = {**found["metadata"].get(key, {}), **value} if merged else value
            found.update({key: value for key, value in body.items() if key != "metadata"})
            found["metadata"]["managedFields"] = [
                {**_managed(MANAGER, body.get("spec", {})), "operation": operation}
            ]
            if changed:
                found["metadata"]["generation"] = found["metadata"].get("generation", 0) + 1
            self._keep(plural, name, found)
            self._control(plural, found)
            return 200, found

    def create(self, plural: str, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        with self._lock:
            if (plural, name) in self.objects:
                return 409, {"message": "it already exists"}
            return self.apply(plural, name, body, "Update")

    def patch(self, plural: str, name: str, changes: list[dict[str, Any]]) -> tuple[int, Any]:
        """Metadata alone, as a JSON patch; its resourceVersion must be the object's."""
        with self._lock:
            values = {change["path"].rpartition("/")[2]: change["value"] for change in changes}
            found = deepcopy(self.objects[plural, name])
            if values.pop("resourceVersion") != found["metadata"]["resourceVersion"]:
                return 409, {"message": "the object has been modified"}
            found["metadata"].update(values)
            self._keep(plural, name, found)
            return 200, found

    def edit(self, plural: str, name: str, change: Any) -> None:
        """Somebody changes an object by hand."""
        with self._lock:
            before = self.objects[plural, name]
            found = deepcopy(before)
            change(found)
            changed = {
                key
                for key, value in found.get("spec", {}).items()
                if before.get("spec", {}).get(key) != value
            }
            left = before.get("spec", {}).keys() - changed
            found["metadata"]["managedFields"] = [_managed(MANAGER, left), _managed(EDITOR, changed)]
            found["metadata"]["generation"] = found["metadata"].get("generation", 0) + 1
            self._keep(plural, name, found)
            self._control(plural, found)

    def delete(self, plural: str, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        with self._lock:
            present = self.objects.get((plural, name))
            if present is None:
                return 404, {"message": "not found"}
            uid = present["metadata"]["uid"]
            if body.get("preconditions", {}).get("uid", uid) != uid:
                return 409, {"message": "another object of that name"}
            self.objects.pop((plural, name))
            self._collect(uid)
            return 200, {}

    def _collect(self, uid: str) -> None:
        """What belongs to an object that is gone goes, and what belongs to that."""
        for key, item in list(self.objects.items()):
            if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", [])):
                self.objects.pop(key, None)
                self._collect(item["metadata"]["uid"])

    def list(self, plural: str, selector: str) -> list[dict[str, Any]]:
        wanted = dict(pair.split("=") for pair in selector.split(",") if pair)
        with self._lock:
            return [
                deepcopy(item)
                for (kind, _), item in self.objects.items()
                if kind == plural and wanted.items() <= item["metadata"].get("labels", {}).items()
            ]

    def _keep(self, plural: str, name: str, item: dict[str, Any]) -> None:
        item["metadata"]["name"] = name
        item["metadata"]["resourceVersion"] = str(next(self._numbers))
        self.objects[plural, name] = item

    def _control(self, plural: str, item: dict[str, Any]) -> None:
        """What the controllers and the kubelets would do, at once."""
        if plural == "deployments":
            self._run(item)
        if plural == "inferenceservices" and not self.kserve_stopped:
            self._predict(item)
        if plural == "httproutes" and not self.routes_frozen:
            generation = item["metadata"]["generation"]
            conditions = [
                {"type": name, "status": "True", "observedGeneration": generation}
                for name in ("Accepted", "ResolvedRefs")
            ]
            item["status"] = {"parents": [{"conditions": conditions}]}

    def _predict(self, item: dict[str, Any]) -> None:
        """As KServe does without Knative: labels and annotations of both go on to the Deployment and the pods, those
        of the predictor first; its condition says nothing of which generation it means."""
        meta, predictor = item["metadata"], item["spec"]["predictor"]
        both = {key: {**meta.get(key, {}), **predictor.get(key, {})} for key in ("labels", "annotations")}
        replicas = {"replicas": predictor["minReplicas"]} if meta["annotations"][SCALER] == "external" else {}
        name = f"{meta['name']}-predictor"
        owned = {"ownerReferences": [{"uid": meta["uid"], "controller": True}]}
        spec = {**replicas, "template": {"metadata": both, "spec": predictor}}
        self.apply("deployments", name, {"metadata": {**both, **owned}, "spec": spec})
        ready = self.behaviour.get(meta["labels"][VERSION], "ready") == "ready"
        condition = {
            "type": "PredictorReady",
            "status": str(ready),
            "reason": "" if ready else "MinimumReplicasUnavailable",
        }
        item["status"] = {"conditions": [condition], "observedGeneration": 1}

    def _run(self, item: dict[str, Any]) -> None:
        meta, wanted = item["metadata"], item["spec"].setdefault("replicas", 1)
        behaviour = self.behaviour.get(meta["labels"][VERSION], "ready")
        for number in range(wanted):
            name = f"{meta['name']}-{number}"
            self._keep("pods", name, {
                "metadata": {"labels": meta["labels"], "uid": name, "ownerReferences": [{"uid": meta["uid"]}]},
                "status": POD_STATUS[behaviour],
            })  # fmt: skip
        item["status"] = {
            "observedGeneration": meta["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": wanted if behaviour == "ready" else 0,
        }


def _managed(manager: str, fields: Iterable[str]) -> dict[str, Any]:
    """The record of who owns which fields of a spec."""
    return {"manager": manager, "fieldsV1": {"f:spec": {f"f:{name}": {} for name in fields}}}


POD_STATUS: dict[str, dict[str, Any]] = {
    "ready": {"containerStatuses": [{"name": "server", "ready": True, "restartCount": 0, "state": {"running": {}}}]},
    "no gpu": {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: 3 Insufficient nvidia.com/gpu."}
        ]
    },
    "never": {
        "initContainerStatuses": [
            {
                "name": "fetch", "ready": False, "restartCount": 2,
                "state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "line\nthe digest differs"}},
            }
        ]
    },
    "crash": {
        "containerStatuses": [
            {
                "name": "server", "ready": False, "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            }
        ]
    },
    "image": {
        "containerStatuses": [
            {
                "name": "server", "ready": False, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
            }
        ]
    },
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def _serve(self) -> None:
        cluster: Cluster = self.server.cluster
        parts = urlsplit(self.path)
        if "/namespaces/" in parts.path:
            _, plural, *name = parts.path.partition("/namespaces/")[2].split("/")
        else:
            plural, name = parts.path.rpartition("/")[2], []
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        cluster.calls[self.command, plural] += 1
        time.sleep(cluster.stall_seconds)
        if cluster.token and self.headers["Authorization"] != f"Bearer {cluster.token}":
            return self._answer(401, {"message": "Unauthorized"})
        if cluster.faults and cluster.faults[0][2] in ("", self.command):
            status, headers, _ = cluster.faults.pop(0)
            return self._answer(status, {"message": "a fault"}, headers)
        written = sum(count for (verb, _), count in cluster.calls.items() if verb in WRITES)
        if self.command in WRITES and cluster.breaks_at == written:
            return self._answer(500, {"message": "etcd lost its leader"})
        if plural in cluster.forbidden:
            return self._answer(403, {"message": f"{plural} is forbidden"})
        if self.command == "POST":
            return self._answer(*cluster.create(plural, body["metadata"]["name"], body))
        if self.command == "PATCH" and isinstance(body, list):
            assert self.headers["Content-Type"] == "application/json-patch+json"
            return self._answer(*cluster.patch(plural, name[0], body))
        if self.command == "PATCH":
            assert self.headers["Content-Type"] == "application/apply-patch+yaml"
            return self._answer(*cluster.apply(plural, name[0], body))
        if self.command == "DELETE":
            return self._answer(*cluster.delete(plural, name[0], body))
        if name:
            found = cluster.objects.get((plural, name[0]))
            return self._answer(200, found) if found else self._answer(404, {"message": "not found"})
        selector = parse_qs(parts.query).get("labelSelector", [""])[0]
        return self._answer(200, {"items": cluster.list(plural, selector)})

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        for header, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def running(cluster: Cluster, target: Target = TARGET):
    """The cluster at an address; yields (its namespace as adapters see it, targets, how to cut it off)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.cluster = cluster
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
    configuration.retries = 0
    client = kubernetes.client.ApiClient(configuration)
    stopped = threading.Event()

    def cut() -> None:
        if not stopped.is_set():
            stopped.set()
            server.shutdown()
            server.server_close()
            client.rest_client.pool_manager.clear()

    try:
        yield Namespace(Api(client), NAMESPACE), Targets(target, {}), cut
    finally:
        cut()
