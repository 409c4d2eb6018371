"""Slipway as the chart installs it: its own pods find the cluster, move a model's servers, and Helm takes it away again.

Needs SLIPWAY_E2E_VALUES: a file of Helm values that name the image, and a database, a queue and a bucket that pods reach.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.e2e.place import APPLY, ARTIFACTS, IMAGE, ROOT, Place, until
from tests.e2e.test_chart import home, put_helm, shell  # noqa: F401
from tests.servers.waiting import free_port

TOKEN = """
from django.contrib.auth import get_user_model
from registry.domain.actor import Actor
from registry.tokens import create_token
ada = get_user_model().objects.get(username="ada")
print("secret", create_token(user=ada, name="e2e", actor=Actor(kind="user", name="ada", id=ada.pk))[1])
"""


@pytest.fixture
def values(place: Place) -> dict[str, Any]:
    """What the operator gave, with the namespace for models of this run."""
    file = os.environ.get("SLIPWAY_E2E_VALUES")
    if not file:
        pytest.skip("SLIPWAY_E2E_VALUES names no Helm values for an installation")
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl here")
    given: dict[str, Any] = yaml.safe_load(Path(file).read_text())
    default = {
        "namespace": place.name,
        "image": IMAGE,
        "cpu": "10m",
        "memory": "400Mi",
        "gateway": {"name": "public"},
    }
    given["kubernetes"] = {
        "router": "rollouts.adapters.kubernetes.GatewayApiRouter", "namespaces": [place.name], "preflight": True,
        "file": {"default": {**default, **given.get("kubernetes", {}).get("file", {}).get("default", {}), "namespace": place.name}},
    }  # fmt: skip
    return given


@pytest.fixture
def api(place: Place, controller, home: str, values, tmp_path: Path) -> Iterator[Any]:  # noqa: F811
    """The REST interface of a release that was installed as the docs say."""
    kubeconfig = os.path.abspath(os.environ["KUBECONFIG"])
    put_helm(tmp_path)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    bucket = [given["secretRef"]["name"] for given in values.get("envFrom", [])]

    def run(line: str) -> str:
        done = shell(line, tmp_path, kubeconfig)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    run(f"kubectl create namespace {home}")
    for name in bucket:
        # Credentials of the bucket, as the operator keeps them where the values come from.
        kept = place.call("GET", f"/api/v1/namespaces/default/secrets/{name}")["data"]
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": kept}
        for namespace in (home, place.name):
            path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
            place.call("PATCH", path, secret, APPLY, fieldManager="e2e", force="true")
    run(f"helm upgrade --install slipway deploy/helm/slipway -n {home} -f values.yaml")
    run(f"kubectl -n {home} wait deploy --all --for=condition=Available --timeout=280s")
    user = "slipway createsuperuser --noinput --username ada --email ada@example.org"
    password = f"DJANGO_SUPERUSER_PASSWORD={secrets.token_hex(16)}"
    run(f"kubectl -n {home} exec deploy/slipway-web -- env {password} {user}")
    said = shell(
        f"kubectl -n {home} exec deploy/slipway-web -- slipway shell -c '{TOKEN}'", tmp_path, kubeconfig
    )
    port, host = free_port(), values["publicUrl"].removeprefix("https://")
    forward = [
        "kubectl",
        "--kubeconfig",
        kubeconfig,
        "-n",
        home,
        "port-forward",
        "deploy/slipway-web",
        f"{port}:8000",
    ]
    session = requests.Session()
    session.headers.update({"Host": host, "X-Forwarded-Proto": "https"})
    session.headers["Authorization"] = f"Bearer {said.stdout.split('secret')[1].split()[0]}"

    def call(method: str, path: str, **more: Any) -> Any:
        answer = session.request(method, f"http://127.0.0.1:{port}/api/v1{path}", timeout=60, **more)
        assert answer.status_code < 400, answer.text
        return answer.json()

    with subprocess.Popen(forward, stdout=subprocess.DEVNULL) as forwarding:
        try:
            time.sleep(3)
            yield call
        finally:
            forwarding.terminate()
            run(f"helm uninstall slipway -n {home}")


def test_a_release_that_helm_installed_moves_a_models_pods_by_itself(place: Place, api) -> None:
    model = f"e2e-{uuid.uuid4().hex[:6]}"
    endpoint = f"{model}-production"
    api("POST", "/models", json={"name": model, "owner_team": "e2e"})
    for number in "12":
        api("POST", f"/models/{model}/versions", files={"artifact": ("model.onnx", ARTIFACTS[number])})
    environment = f"env-{model}"
    api("POST", "/environments", json={"name": environment})
    given = {"name": endpoint, "model": model, "environment": environment, "version": 1}
    api("POST", "/endpoints", json=given)

    def weights() -> dict[str, int] | None:
        found: dict[str, int] | None = api("GET", f"/endpoints/{endpoint}")["observed"].get("weights")
        return found

    until(lambda: weights() == {"1": 100}, seconds=120)
    asked = {
        "endpoint": endpoint,
        "version": 2,
        "reason": "e2e",
        "parameters": {"steps": [50], "hold_seconds": 600},
    }
    rollout = api("POST", "/rollouts", json=asked)["id"]
    # No Prometheus was promised, so the gates before the first share have nothing to go by: a person promotes.
    until(
        lambda: api("GET", f"/rollouts/{rollout}")["phase"] in ("progressing", "holding", "paused"),
        seconds=120,
    )
    api("POST", f"/rollouts/{rollout}/promote", json={"reason": "e2e"})
    until(lambda: api("GET", f"/rollouts/{rollout}")["phase"] == "succeeded", seconds=120)
    until(lambda: weights() == {"2": 100}, seconds=60)
    assert {pod["spec"]["nodeName"] for pod in place.pods(endpoint, "2")}
