"""One namespace of the cluster that KUBECONFIG names, for the whole run; without a cluster everything here skips."""

from __future__ import annotations

import os
from collections.abc import Iterator

import kubernetes
import pytest

from tests.e2e.controller import Controller
from tests.e2e.kserve import Predictors
from tests.e2e.place import GATEWAY, IMAGE, Place, ready


def reason_to_skip() -> str:
    """Why nothing can be tested on a cluster here; empty when it can."""
    if os.environ.get("SLIPWAY_E2E") != "1":
        return "a cluster is only touched by `make e2e` (SLIPWAY_E2E=1)"
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    return ""


def connect() -> Place:
    """The cluster as administrator."""
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(client_configuration=configuration)
    configuration.retries = 0
    return Place(kubernetes.client.ApiClient(configuration))


@pytest.fixture(scope="session")
def bare_place() -> Iterator[Place]:
    """The namespace with the role and its account, without anything that needs a node."""
    if why := reason_to_skip():
        pytest.skip(why)
    place = connect()
    place.prepare()
    try:
        yield place
    finally:
        place.remove()


@pytest.fixture(scope="session")
def place(bare_place) -> Place:
    """The same with a store of artifacts: here pods really run."""
    if not [node for node in bare_place.call("GET", "/api/v1/nodes")["items"] if ready(node)]:
        pytest.skip("the cluster has no node that is ready: nothing can run")
    bare_place.serve_artifacts()
    return bare_place


@pytest.fixture(scope="session")
def controller(bare_place) -> Iterator[Controller | None]:
    """Takes over routes where no Gateway of SLIPWAY_E2E_GATEWAY does."""
    if GATEWAY:
        yield None
        return
    running = Controller(bare_place)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def predictors(bare_place) -> Iterator[Predictors | None]:
    """Runs InferenceServices where KServe's controller does not; None where nobody knows what they are."""
    groups = [group["name"] for group in bare_place.call("GET", "/apis")["groups"]]
    if "serving.kserve.io" not in groups:
        yield None
        return
    running = Predictors(bare_place)
    yield running
    running.stop()


def pytest_report_header() -> str:
    return f"e2e: {reason_to_skip() or 'image ' + IMAGE + ', gateway ' + (GATEWAY or 'none: routes are accepted by the tests')}"
