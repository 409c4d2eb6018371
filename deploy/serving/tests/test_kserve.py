"""KServe's own clients run their calls against the server, from an environment of their own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.peers import environment_or_skip

from . import models
from .support import serving_every_type

HERE = Path(__file__).parent
CALLS = ("types False", "types True", "several False", "several True")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    python = environment_or_skip("kserve", HERE / "kserve.txt")
    folder = tmp_path_factory.mktemp("kserve")
    with serving_every_type(folder, grpc_port=0, more={"labelled": models.labelled()}) as server:
        ports = [str(server.port), str(server.grpc_port)]
        script = str(HERE / "kserve_calls.py")
        run = subprocess.run([python, script, *ports], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_health_and_readiness(found, protocol):
    assert [found[protocol][name] for name in ("live", "ready", "model")] == [True] * 3


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("binary", [False, True])
def test_every_type_goes_there_and_back(found, protocol, binary):
    types = found[protocol][f"types {binary}"]
    assert len(types) == (13 if binary else 12)
    for name, (datatype, shape, values) in types.items():
        assert (datatype, shape) == (name, [1, 2])
        assert values == (["a", "ä"] if name == "BYTES" else [0, 1])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("binary", [False, True])
def test_several_inputs_and_outputs_ids_and_errors(found, protocol, binary):
    several = found[protocol][f"several {binary}"]
    assert several["id"] == "r1"
    assert several["outputs"] == {"label": ["red"], "score": [3.0]}
    assert "the input 'colour' is missing" in several["error"]
