"""The Helm chart on a real API server: every object is taken, a release comes, changes and goes, the docs' lines run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.place import APPLY, ROOT, Place, Refused, until
from tests.peers import environment_or_skip
from tests.production.test_chart import EXAMPLES, RUN, helm, rendered  # noqa: F401

DOCS = (ROOT / "docs" / "production.md").read_text()


@pytest.fixture(scope="module")
def plurals(bare_place: Place) -> dict[tuple[str, str], str]:
    """What the API server calls the objects of each version and kind."""
    paths = {"v1": "/api/v1"}
    for group in bare_place.call("GET", "/apis")["groups"]:
        paths |= {one["groupVersion"]: f"/apis/{one['groupVersion']}" for one in group["versions"]}
    return {
        (api, item["kind"]): item["name"]
        for api, path in paths.items()
        for item in bare_place.call("GET", path)["resources"]
        if "/" not in item["name"]
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_api_server_takes_every_object_of_the_chart(bare_place, plurals, rendered, name):  # noqa: F811
    """As `kubectl apply --dry-run=server --validate=strict`: defaults, validation and admission really run."""
    place, unknown = bare_place, set()
    for document in rendered[name]:
        key = document["apiVersion"], document["kind"]
        if key not in plurals:
            unknown.add(document["apiVersion"])
            continue
        root = f"/apis/{key[0]}" if "/" in key[0] else "/api/v1"
        wide = "namespace" not in document["metadata"]
        given = {
            **document,
            "metadata": {**document["metadata"], **({} if wide else {"namespace": place.name})},
        }
        where = root if wide else f"{root}/namespaces/{place.name}"
        path = f"{where}/{plurals[key]}/{document['metadata']['name']}"
        strict = {"fieldManager": "helm", "force": "true", "dryRun": "All", "fieldValidation": "Strict"}
        taken = place.call("PATCH", path, given, APPLY, **strict)
        assert taken["kind"] == document["kind"]
    assert unknown <= {"monitoring.coreos.com/v1"}, unknown
    if unknown:
        pytest.skip("the cluster lacks the Prometheus operator's resources; all else was taken")


@contextmanager
def namespace(place: Place) -> Iterator[str]:
    """The name of a namespace for one release, which whoever installs it makes."""
    name = f"slipway-e2e-{uuid.uuid4().hex[:6]}"
    try:
        yield name
    finally:
        try:
            place.call("DELETE", f"/api/v1/namespaces/{name}")
        except Refused as error:
            assert error.status == 404


@pytest.fixture
def home(bare_place: Place) -> Iterator[str]:
    with namespace(bare_place) as name:
        yield name


@pytest.fixture
def values(home: str, bare_place: Place, tmp_path: Path) -> Path:
    """The production example, with the one namespace for models that is there."""
    given = yaml.safe_load(EXAMPLES["production"].read_text())
    given["kubernetes"]["namespaces"] = [bare_place.name]
    given["monitoring"] = {"enabled": False}
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(given))
    return path


def lines() -> list[str]:
    """What docs/production.md tells to type to install on Kubernetes."""
    (block,) = re.findall(r"## Kubernetes\n\n```\n(.*?)```", DOCS, re.S)
    return [line for line in block.splitlines() if line]


def shell(line: str, folder: Path, kubeconfig: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin",
        "KUBECONFIG": kubeconfig,
        "HOME": str(folder),
    }
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def put_helm(folder: Path) -> None:
    """`helm` where there is none: the same library, with the command line of the docs."""
    if shutil.which("helm"):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_IGNORE_REQUIRES_PYTHON", "1")
        python = environment_or_skip("helm", RUN.with_name("helm-requirements.txt"))
    program = folder / "helm"
    program.write_text(f'#!/bin/sh\nexec "{python}" "{Path(__file__).with_name("helm_cli.py")}" "$@"\n')
    program.chmod(0o755)


def test_the_lines_of_the_docs_install_it_and_helm_changes_and_removes_it(
    bare_place: Place, home: str, values: Path, tmp_path: Path, request: pytest.FixtureRequest
):
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl here")
    place, kubeconfig = bare_place, os.path.abspath(os.environ["KUBECONFIG"])
    put_helm(tmp_path)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    for name in ("secret-key", "database-url", "redis-url"):
        (tmp_path / name).write_text("x" * 50)
    create, secret, install, user = (
        re.sub(r"(-n|namespace) slipway\b", rf"\1 {home}", line) for line in lines()
    )

    def run(line: str) -> str:
        done = shell(line, tmp_path, kubeconfig)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def web() -> Any:
        return place.call("GET", f"/apis/apps/v1/namespaces/{home}/deployments/slipway-web")

    run(create)
    run(secret)
    run(install)
    assert web()["spec"]["template"]["spec"]["containers"][0]["image"].startswith(
        "registry.example.org/slipway@"
    )
    assert place.call("GET", f"/apis/batch/v1/namespaces/{home}/jobs/slipway-migrate-1")
    role = place.call(
        "GET", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.name}/roles/slipway-worker"
    )
    assert role["rules"]
    # Its image is at nobody's registry, so no pod runs; that the line reaches one is what can be seen.
    until(lambda: place.call("GET", f"/api/v1/namespaces/{home}/pods", labelSelector="app.kubernetes.io/component=web")["items"])  # fmt: skip
    assert "(NotFound)" not in shell(user, tmp_path, kubeconfig).stderr
    changed = json.loads(values.read_text())
    changed["web"] = {**changed["web"], "threads": 16}
    values.write_text(json.dumps(changed))
    run(install)
    threads = {"name": "SLIPWAY_WEB_THREADS", "value": "16"}
    assert threads in web()["spec"]["template"]["spec"]["containers"][0]["env"]
    assert place.call("GET", f"/apis/batch/v1/namespaces/{home}/jobs/slipway-migrate-2")
    run(f"helm uninstall slipway -n {home}")
    with pytest.raises(Refused, match="404"):
        web()
    rights = "/apis/rbac.authorization.k8s.io/v1"
    for left in (f"namespaces/{place.name}/roles/slipway-worker", f"clusterroles/{home}-slipway-preflight"):
        with pytest.raises(Refused, match="404"):
            place.call("GET", f"{rights}/{left}")
