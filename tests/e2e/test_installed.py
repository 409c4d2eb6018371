"""Slipway as the chart installs it: its pods find the cluster, move a model's servers, score tables, and Helm takes it away again.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.e2e.place import APPLY, ARTIFACTS, GATEWAY, IMAGE, ROOT, Place, gateway_at, until
from tests.e2e.test_chart import namespace, put_helm, shell
from tests.servers.waiting import free_port

ROWS = 40_000
TOKEN = """
from django.contrib.auth import get_user_model
from registry.domain.actor import Actor
from registry.tokens import create_token
ada = get_user_model().objects.get(username="{name}")
print("secret", create_token(user=ada, name="e2e", actor=Actor(kind="user", name="ada", id=ada.pk))[1])
"""


BUCKET = """
from hashlib import sha256
from pyarrow import fs
place, _, options = "{place}".partition("?")
bucket, root = fs.FileSystem.from_uri(place + "/{run}?" + options)
"""
TABLE = f"""
with bucket.open_output_stream(root + "/in/rows.csv") as out:
    out.write(("X\\n" + "".join(str(row / 7) + "\\n" for row in range({ROWS}))).encode())
"""
ANSWERS = """
for info in bucket.get_file_info(fs.FileSelector(root + "/%s")):
    content = bucket.open_input_file(info.path).read()
    print("answer", info.base_name, sha256(content).hexdigest(), info.mtime_ns)
"""


@dataclass(frozen=True)
class Release:
    """An installed Slipway: its namespace, its REST interface, and a shell in its own pod."""

    home: str
    call: Callable[..., Any]
    python: Callable[[str], str]


@pytest.fixture(scope="module")
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
        "gateway": gateway_at(GATEWAY or "public"),
    }
    given["kubernetes"] = {
        "router": "rollouts.adapters.kubernetes.GatewayApiRouter", "namespaces": [place.name], "preflight": True,
        "file": {"default": {**default, **given.get("kubernetes", {}).get("file", {}).get("default", {}), "namespace": place.name}},
    }  # fmt: skip
    return given


@pytest.fixture(scope="module")
def release(
    place: Place, controller: object, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """Installed as the docs say, once for all tests here."""
    folder, kubeconfig = tmp_path_factory.mktemp("release"), os.path.abspath(os.environ["KUBECONFIG"])
    put_helm(folder)
    (folder / "deploy").symlink_to(ROOT / "deploy")
    (folder / "values.yaml").write_text(json.dumps(values))

    def run(line: str) -> str:
        done = shell(line, folder, kubeconfig)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    with namespace(place) as home:
        web = f"kubectl -n {home} exec deploy/slipway-web --"
        run(f"kubectl create namespace {home}")
        for given in values.get("envFrom", []):
            copy_secret(place, given["secretRef"]["name"], (home, place.name))
        run(f"helm upgrade --install slipway deploy/helm/slipway -n {home} -f values.yaml")
        run(f"kubectl -n {home} wait deploy --all --for=condition=Available --timeout=280s")
        password = f"DJANGO_SUPERUSER_PASSWORD={secrets.token_hex(16)}"
        # The database may be that of an earlier run.
        user = f"slipway createsuperuser --noinput --username {home} --email ada@example.org"
        run(f"{web} env {password} {user}")

        def python(code: str) -> str:
            return run(f"{web} slipway shell -v 0 -c '{code}'")

        token, port = python(TOKEN.format(name=home)).split("secret")[1].split()[0], free_port()
        forward = ["kubectl", "--kubeconfig", kubeconfig, "-n", home, "port-forward", "deploy/slipway-web", f"{port}:8000"]  # fmt: skip
        with subprocess.Popen(forward, stdout=subprocess.DEVNULL) as forwarding:
            try:
                time.sleep(3)
                yield Release(home, over_rest(port, values["publicUrl"], token), python)
            finally:
                forwarding.terminate()
                run(f"helm uninstall slipway -n {home}")


def copy_secret(place: Place, name: str, into: tuple[str, ...]) -> None:
    """Credentials of the bucket, as the operator keeps them where the values come from."""
    kept = place.call("GET", f"/api/v1/namespaces/default/secrets/{name}")["data"]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": kept}
    for one in into:
        path = f"/api/v1/namespaces/{one}/secrets/{name}"
        place.call("PATCH", path, secret, APPLY, fieldManager="e2e", force="true")


def over_rest(port: int, public: str, token: str) -> Callable[..., Any]:
    """Calls of the REST interface behind a forwarded port, as a proxy with TLS would send them."""
    session = requests.Session()
    session.headers.update({"Host": public.removeprefix("https://"), "X-Forwarded-Proto": "https"})
    # A connection that the server closes while nobody asks must not fail the next call.
    session.headers.update({"Authorization": f"Bearer {token}", "Connection": "close"})

    def call(method: str, path: str, **more: Any) -> Any:
        answer = session.request(method, f"http://127.0.0.1:{port}/api/v1{path}", timeout=60, **more)
        assert answer.status_code < 400, answer.text
        return answer.json()

    return call


def registered(release: Release, *numbers: str) -> str:
    """A new model with these artifacts as its versions."""
    model = f"e2e-{uuid.uuid4().hex[:6]}"
    release.call("POST", "/models", json={"name": model, "owner_team": "e2e"})
    for number in numbers:
        files = {"artifact": ("model.onnx", ARTIFACTS[number])}
        at = release.call("POST", f"/models/{model}/versions", files=files)["number"]
        until(lambda at=at: release.call("GET", f"/models/{model}/versions/{at}")["state"] == "ready")  # type: ignore[misc]
    return model


def test_a_release_that_helm_installed_moves_a_models_pods_by_itself(place: Place, release: Release) -> None:
    api, model = release.call, registered(release, "1", "2")
    endpoint = f"{model}-production"
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


def score(release: Release, model: str, tables: str, target: str) -> int:
    folder = f"{tables.partition('?')[0]}/{model}"
    asked = {"source": f"{folder}/in", "target": f"{folder}/{target}", "chunk_rows": 150}
    return int(release.call("POST", f"/models/{model}/versions/1/scorings", json=asked)["id"])


def job(release: Release, number: int) -> dict[str, Any]:
    found: dict[str, Any] = release.call("GET", f"/scorings/{number}")
    assert found["state"] != "failed", found
    return found


def made_for(place: Place, home: str, number: int, what: str = "/apis/batch/v1 jobs") -> list[str]:
    """The paths of the Jobs, or the pods, of a scoring job."""
    root, plural = what.split()
    every = f"{root}/namespaces/{home}/{plural}"
    names = [one["metadata"]["name"] for one in place.call("GET", every)["items"]]
    return [f"{every}/{name}" for name in names if name.startswith(f"slipway-score-{number}-")]


def answers(release: Release, bucket: str, target: str) -> dict[str, tuple[str, str]]:
    """Digest and time of writing of each file in a target."""
    said = [
        line.split()[1:]
        for line in release.python(bucket + ANSWERS % target).splitlines()
        if line.startswith("answer ")
    ]
    return {name: (digest, written) for name, digest, written in said}


def test_a_scoring_job_whose_pod_is_killed_goes_on_in_the_next_and_answers_the_same(
    place: Place, release: Release, values: dict[str, Any]
) -> None:
    """The artifact from the store, tables and answers in a bucket, each Job a pod of its own."""
    if not values.get("scoring", {}).get("tables"):
        pytest.skip("SLIPWAY_E2E_VALUES has no scoring.tables")
    model, tables = registered(release, "1"), values["scoring"]["tables"][0]
    bucket = BUCKET.format(place=tables, run=model)
    release.python(bucket + TABLE)
    broken = score(release, model, tables, "broken")
    until(lambda: job(release, broken)["parts"] > 1, seconds=180)
    (pod,) = made_for(place, release.home, broken, "/api/v1 pods")
    place.call("DELETE", pod, gracePeriodSeconds="0")
    before = answers(release, bucket, "broken")
    assert job(release, broken)["state"] == "running" and "_result.json" not in before
    whole = score(release, model, tables, "whole")
    for number in (whole, broken):
        until(lambda number=number: job(release, number)["state"] == "succeeded", seconds=300)  # type: ignore[misc]
        assert job(release, number)["rows"] == ROWS
    assert len(made_for(place, release.home, broken)) == 2 and len(made_for(place, release.home, whole)) == 1
    after, quiet = answers(release, bucket, "broken"), answers(release, bucket, "whole")
    assert {name: digest for name, (digest, _) in after.items()} == {
        name: digest for name, (digest, _) in quiet.items()
    }
    # What the first pod had answered was not answered again.
    parts = {name: said for name, said in before.items() if name.startswith("part-")}
    assert parts and parts.items() <= after.items()
