"""`python -m tests.e2e.victim`: a worker that dies by SIGKILL right after some of its writes; told how on stdin."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import kubernetes

from rollouts.adapters.kubernetes import KubernetesCluster
from rollouts.adapters.kubernetes.api import Api, Manifest
from rollouts.adapters.kubernetes.seen import Namespace
from rollouts.adapters.kubernetes.target import Target, Targets
from rollouts.domain.desired import DesiredWorld, ReleaseSpec


class Mortal(Api):
    """An API whose caller lives for that many writes."""

    def __init__(self, client: Any, writes: int) -> None:
        super().__init__(client)
        self._left = writes

    def _call(self, method: str, *call: Any) -> Manifest:
        if method != "GET":
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
        return super()._call(method, *call)


def main(told: dict[str, Any]) -> None:
    """Asserts one release, as a tick does."""
    configuration = kubernetes.client.Configuration(host=told["host"])
    configuration.ssl_ca_cert, configuration.retries = told["ca"], 0
    configuration.api_key = {"BearerToken": f"Bearer {told['token']}"}
    target = Target(**told["target"])
    namespace = Namespace(
        Mortal(kubernetes.client.ApiClient(configuration), told["writes"]), target.namespace
    )
    release = ReleaseSpec("1", told["digest"], replicas=1)
    world = DesiredWorld(told["endpoint"], "churn", 1, (release,), None)
    KubernetesCluster(Targets(target, {}), lambda _: namespace).apply(
        world, {told["digest"]: "s3://models/x"}
    )


if __name__ == "__main__":
    main(json.load(sys.stdin))
