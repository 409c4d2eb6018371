"""The images, built by deploy/images/build and run: `make images`, minutes of work and a network.

The base is BASE, or one that debootstrap makes of Debian here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from registry.tests import onnx_files
from tests.production.box import Box, buildah
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.waiting import ROOT, eventually, free_port

WANTED = os.environ.get("SLIPWAY_IMAGES") == "1"
TOOLS = [tool for tool in ("buildah", "debootstrap", "unshare") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not WANTED, reason="takes minutes: `make images` builds the images and runs them"),
    pytest.mark.skipif(bool(TOOLS) or os.geteuid() != 0, reason=f"needs root and {', '.join(TOOLS)}"),
]
BASE = "localhost/slipway-base:bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
EVERYTHING = """
import importlib, pkgutil, boto3
for top in ("controlplane", "registry", "monitoring", "rollouts", "deploy"):
    for module in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
for service in ("s3", "sts", "sso", "sso-oidc", "signin"):
    boto3.client(service, region_name="eu-west-1")
print("imported")
"""
REGISTER = """
from pathlib import Path
from registry import services
from registry.domain.actor import SYSTEM
from registry.models import Model
from registry.wiring import artifact_store
services.register_version(model=Model.objects.create(name="adder"), artifact=Path("/var/lib/slipway/model.onnx"),
                          store=artifact_store(), actor=SYSTEM)
"""
# In 10⁶ bytes, the base of about 130 included.
LARGEST = {"control-plane": 720, "serving": 320, "serving-cuda": 3_000}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with Debian's Python."""
    if given := os.environ.get("BASE"):
        return given
    if BASE not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        folder = tmp_path_factory.mktemp("base") / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder / "var/cache/apt/archives")
        container = buildah("from", "scratch")
        buildah("add", "-q", container, str(folder), "/")
        buildah("commit", "-q", container, BASE)
        buildah("rm", container)
    return BASE


@pytest.fixture(scope="module", params=os.environ.get("IMAGES", "control-plane serving").split())
def image(request: pytest.FixtureRequest, base: str) -> tuple[str, str]:
    """Which one, and its name with the tag."""
    # What this machine trusts and where it finds packages; BUILD_OPTIONS is a user's own.
    options = f"--volume {CERTIFICATES}:{CERTIFICATES}:ro --env PIP_CERT={CERTIFICATES}"
    environment = {
        "BUILDAH_ISOLATION": "chroot", "BUILD_OPTIONS": options, **os.environ, "BASE": base,
    }  # fmt: skip
    done = subprocess.run(
        [str(ROOT / "deploy/images/build"), request.param],
        env=environment, capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    return request.param, done.stdout.split("built ")[-1].strip()


@pytest.fixture(scope="module")
def box(image: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The image with its volume, which belongs to the user that the image names."""
    home = tmp_path_factory.mktemp("volume")
    (home / "model.onnx").write_bytes(onnx_files.linear().SerializeToString())
    for path in (home, home / "model.onnx"):
        os.chown(path, 10001, 10001)
    control = image[0] == "control-plane"
    with Box(image[1], {"/var/lib/slipway": home} if control else {"/mnt": home}) as made:
        yield made


def test_it_is_named_after_its_release_small_and_nobody_is_root(image: tuple[str, str], box: Box) -> None:
    kind, name = image
    print(f"{name}: {box.megabytes:.0f} MB")
    assert re.fullmatch(r"slipway(-serving(-cuda)?)?:\d+\.\d+\.\d+-[0-9a-f]{12}(-dirty)?", name)
    labels = box.config["Labels"]
    version, _, revision = name.partition(":")[2].partition("-")
    assert labels["org.opencontainers.image.revision"] == revision
    assert labels["org.opencontainers.image.version"].startswith(version)
    assert box.config["User"] == "10001:10001" and box.megabytes < LARGEST[kind]
    assert not (box.root / "opt/venv/bin/pip").exists() and not list((box.root / "app").rglob("tests"))


@pytest.fixture(scope="module")
def installed(image: tuple[str, str], box: Box, postgres: Postgres, redis_server: Redis) -> dict[str, str]:
    """Settings of the control plane beside a database that it migrated."""
    if image[0] != "control-plane":
        pytest.skip("of the control plane")
    settings = {
        "SLIPWAY_SECRET_KEY": "fifty characters that nobody knows, and some more of them",
        "SLIPWAY_DATABASE_URL": postgres.create("image"),
        "SLIPWAY_REDIS_URL": redis_server.url,
    }
    migrated = box.run("migrate", "-v", "0", **settings)
    assert migrated.returncode == 0, migrated.stderr
    return settings


def test_the_control_plane_answers_from_a_file_system_it_cannot_write_to(
    installed: dict[str, str], box: Box
) -> None:
    port = free_port()
    settings = installed | {"SLIPWAY_BIND": f"127.0.0.1:{port}"}
    # An installation of production lacks only what no image can know.
    checked = box.run("check", "--deploy", **settings)
    assert checked.returncode and re.findall(r"\(controlplane\.E\d+\)", checked.stderr) == [
        "(controlplane.E102)"
    ]
    wrote = box.run("shell", "-v", "0", "-c", "open('/app/written', 'w')", **settings)
    assert wrote.returncode and "Read-only file system" in wrote.stderr
    url = f"http://127.0.0.1:{port}"
    with (
        box.running("web", **settings) as log,
        box.running("worker", "--concurrency", "1", **settings),
        box.running("tick", **settings),
    ):
        eventually(lambda: _answers(f"{url}/healthz"), 90, log.read_text)
        eventually(
            lambda: requests.get(f"{url}/readyz?strict", timeout=5).status_code == 200, 60, log.read_text
        )
        page = requests.get(f"{url}/login", timeout=10)
        assert page.status_code == 200 and "Sign in" in page.text
        for path in re.findall(r'"(/static/[^"]+\.(?:css|js))"', page.text):
            assert requests.get(f"{url}{path}", timeout=10).status_code == 200, path


def test_what_is_left_out_of_the_control_plane_is_missed_by_no_module(
    installed: dict[str, str], box: Box
) -> None:
    done = box.run("shell", "-v", "0", "-c", EVERYTHING, **installed)
    assert done.returncode == 0 and "imported" in done.stdout, done.stderr[-2000:]


def test_the_control_plane_registers_a_model_and_scores_parquet_with_it(
    installed: dict[str, str], box: Box
) -> None:
    home = box.folders["/var/lib/slipway"]
    (home / "in").mkdir()
    columns = {f"X_{index}": np.full(5, index + 1, np.float32) for index in range(3)}
    pq.write_table(pa.table(columns), home / "in" / "rows.parquet")  # type: ignore[no-untyped-call]
    registered = box.run("shell", "-v", "0", "-c", REGISTER, **installed)
    assert registered.returncode == 0, registered.stderr[-2000:]
    scored = box.run("score", "adder", "1", "/var/lib/slipway/in", "/var/lib/slipway/out", **installed)
    assert scored.returncode == 0, scored.stderr[-2000:]
    (part,) = (home / "out").glob("part-*.parquet")
    (answers,) = pq.read_table(part).to_pydict().values()  # type: ignore[no-untyped-call]
    assert answers == [6.0] * 5


def test_the_model_server_answers_predictions(image: tuple[str, str], box: Box) -> None:
    if image[0] == "control-plane":
        pytest.skip("of the model server")
    port = free_port()
    arguments = ("--artifact", "/mnt/model.onnx", "--model", "adder", "--model-version", "1")
    with box.running(*arguments, "--port", str(port)) as log:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(f"{url}/v2/health/ready"), 60, log.read_text)
        tensor = {"name": "X", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
        answer = requests.post(f"{url}/v2/models/adder/infer", json={"inputs": [tensor]}, timeout=10)
        assert answer.json()["outputs"][0]["data"] == [6.0]
        if image[0] == "serving-cuda" and not Path("/dev/nvidia0").exists():
            assert "CUDA did not start, so the CPU runs it" in log.read_text()


def test_the_cuda_variant_brings_its_libraries_and_refuses_to_go_without_the_driver(
    image: tuple[str, str], box: Box
) -> None:
    if image[0] != "serving-cuda":
        pytest.skip("of the CUDA variant")
    packages = next((box.root / "opt/venv/lib").glob("python3*/site-packages/nvidia"))
    found = {path.name for path in packages.rglob("*.so.*")}
    assert {"libcudart.so.13", "libcublas.so.13", "libcudnn.so.9", "libcufft.so.12"} <= found
    if not Path("/dev/nvidia0").exists():
        asked = box.run("--artifact", "/mnt/model.onnx", "--model", "adder", "--provider", "cuda")
        assert asked.returncode == 3 and "the cuda provider did not start" in asked.stderr


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_the_script_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(shutil.which("git") or "/usr/bin/git")
    for tool in ("sed", "dirname", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "deploy/images/build")],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "neither buildah nor docker" in done.stderr
