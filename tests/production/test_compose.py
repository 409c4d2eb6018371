"""compose.yaml and the Dockerfiles: what they name is there, and nothing runs as root of its own will."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from controlplane import env
from tests.peers import environment_or_skip
from tests.servers.waiting import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "SLIPWAY_IMAGE" in service["image"]]
DOCKERFILES = sorted((DEPLOY / "images").glob("*.Dockerfile"))


def test_the_services_are_those_of_production() -> None:
    assert {"postgres", "redis", "prometheus", "grafana"} <= set(SERVICES)
    assert {"web", "worker", "tick", "intake", "migrate", "fleet", "gateway"} == set(OURS)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """The schema that the Compose specification's project publishes."""
    python = environment_or_skip("compose", Path(__file__).with_name("compose-requirements.txt"))
    (path,) = python.parent.parent.glob("lib/*/site-packages/check_jsonschema/*/vendor/compose-spec.json")
    return Draft202012Validator(json.loads(path.read_text()))


def test_the_file_is_as_the_compose_specification_wants_it(schema: Draft202012Validator) -> None:
    assert "compose_spec" in schema.schema["$id"]
    assert [error.message for error in schema.iter_errors(COMPOSE)] == []


@pytest.mark.parametrize(
    "slip",
    [{"imagee": "x"}, {"restart": 3}, {"ports": {"80": 80}}, {"depends_on": {"web": {"condition": "up"}}}],
)
def test_a_slip_of_the_pen_would_be_found(schema: Draft202012Validator, slip: dict[str, Any]) -> None:
    services = {**SERVICES, "web": {**SERVICES["web"], **slip}}
    assert list(schema.iter_errors({**COMPOSE, "services": services}))


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_exists(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service.get("depends_on", [])) <= set(SERVICES)
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
    joined = service.get("network_mode", "").removeprefix("service:")
    assert not joined or joined in SERVICES


@pytest.mark.parametrize("name", OURS)
def test_our_processes_have_settings_that_exist_and_cannot_write_to_their_image(name: str) -> None:
    service = SERVICES[name]
    assert {setting.removesuffix("_FILE") for setting in service["environment"]} <= env.names
    assert service["read_only"] and service["cap_drop"] == ["ALL"]


def test_ports_are_open_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_has_two_stages_a_user_that_is_not_root_and_copies_what_is_there(path: Path) -> None:
    text = path.read_text()
    assert len(re.findall(r"^FROM ", text, re.M)) == 2
    assert re.findall(r"^USER (\d+)", text, re.M)[-1] != "0"
    assert "--require-hashes" in text and "org.opencontainers.image.revision" in text
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source


@pytest.mark.parametrize("command", ["web", "worker", "tick", "fleet", "gateway"])
def test_the_image_s_entry_point_starts_the_process_it_is_told(command: str, tmp_path: Path) -> None:
    said = tmp_path / "python"
    said.write_text('#!/bin/sh\necho "$@"\n')
    said.chmod(0o755)
    done = subprocess.run(
        ["sh", str(DEPLOY / "images" / "entrypoint"), command],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SLIPWAY_HOME": "/home"}, capture_output=True, text=True,
    )  # fmt: skip
    wanted = {"web": "gunicorn", "worker": "celery", "tick": "manage.py tick"}.get(
        command, f"deploy.{command}"
    )
    assert done.returncode == 0 and wanted in done.stdout


def test_prometheus_reads_its_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine: `apt install prometheus` runs this test")
    command = [promtool, "check", "config", "--syntax-only", str(DEPLOY / "compose" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
