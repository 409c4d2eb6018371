"""GPU support, as far as a machine without one can tell: the choice of providers, binding, and no metrics.

What only a GPU can show (that the kernels run there, and how fast) is not tested here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from deploy.serving import gpu, providers
from deploy.serving.artifact import Artifact
from deploy.serving.errors import LoadError
from deploy.serving.model import load_model
from deploy.serving.providers import CPU, CUDA, TENSORRT

from . import models
from .support import launched, running

ROOT = Path(__file__).parents[3]
HAS_CUDA = CUDA in onnxruntime.get_available_providers()


def loaded(content, binding, provider="auto"):
    return load_model(Artifact(content, "sha256:test"), 1, None, provider, io_binding=binding)


def test_auto_is_what_this_runtime_has():
    chosen = providers.choose("auto", onnxruntime.get_available_providers())
    assert chosen == ([CUDA, CPU] if HAS_CUDA else [CPU])
    assert loaded(models.linear(), "auto").on_gpu == HAS_CUDA


@pytest.mark.skipif(HAS_CUDA, reason="this ONNX Runtime has a CUDA provider")
@pytest.mark.parametrize("choice", ["cuda", "tensorrt"])
def test_a_provider_the_runtime_lacks_exits_with_3_and_says_what_there_is(tmp_path, choice):
    with launched(tmp_path, models.linear(), provider=choice) as process:
        assert process.popen.wait(20) == 3
        line = process.log.read_text().splitlines()[-1]
        assert f"has no {choice} provider (it has: " in line
        assert "CPUExecutionProvider" in line
        assert "install onnxruntime-gpu" in line


def test_tensorrt_keeps_its_engines_in_the_cache(tmp_path):
    both, cache = [TENSORRT, CUDA, CPU], tmp_path / "not" / "there" / "yet"
    assert providers.with_options(both, None) == both
    (name, options), *rest = providers.with_options(both, cache)
    assert (name, rest) == (TENSORRT, [CUDA, CPU])
    assert options == {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache / "tensorrt")}
    assert (cache / "tensorrt").is_dir(), "TensorRT makes the last folder only"
    assert providers.with_options([CPU], cache) == [CPU]


@pytest.mark.parametrize(
    ("choice", "active", "expected"),
    [("auto", [CPU], False), ("auto", [CUDA, CPU], True), ("auto", [TENSORRT, CUDA, CPU], True),
     ("on", [CPU], True), ("off", [CUDA, CPU], False), ("auto", [], False)],
)  # fmt: skip
def test_runs_are_bound_where_the_provider_has_its_own_memory(choice, active, expected):
    assert providers.binds(choice, active) is expected


@pytest.mark.parametrize("name", [name for name in models.KINDS if name not in ("BYTES", "BF16")])
def test_a_bound_run_equals_a_plain_one_bit_for_bit(name):
    content = models.identity(models.KINDS[name])
    plain, bound = loaded(content, "off"), loaded(content, "on")
    assert bound._bound
    dtype = plain.signature.inputs[0].datatype.dtype
    rows = np.random.default_rng(0).integers(0, 2, (5, 4)).astype(dtype)[:, ::2]
    assert not rows.flags["C_CONTIGUOUS"]
    (left,), (right,) = plain.run([np.ascontiguousarray(rows)]), bound.run([rows])
    assert (left.dtype, left.tobytes()) == (right.dtype, right.tobytes())


def test_binding_with_several_outputs_and_growing_batches():
    plain, bound = loaded(models.classifier(), "off"), loaded(models.classifier(), "on")
    for rows in (1, 7, 3, 32):
        inputs = [np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)]
        for left, right in zip(plain.run(inputs), bound.run(inputs), strict=True):
            assert left.tobytes() == right.tobytes()


@pytest.mark.parametrize("name", ["BYTES", "BF16"])
def test_what_cannot_be_bound_runs_as_ever(name):
    model = loaded(models.identity(models.KINDS[name]), "on")
    assert not model._bound


def test_without_a_driver_there_are_no_gpu_metrics():
    pynvml = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert gpu.families() == []
    else:  # a machine with a GPU: then they are there
        pynvml.nvmlShutdown()
        assert [family[0] for family in gpu.families()] == [
            "model_gpu_memory_bytes", "model_gpu_utilization_ratio",
        ]  # fmt: skip


# What the driver's library answers for eight devices: this process is on number 2 and uses 5 bytes there.
DRIVER = """
#include <string.h>
#include <unistd.h>
typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute; } process;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilization;
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, long *device) { *device = index; return index < 8 ? 0 : 2; }
int nvmlDeviceGetHandleByUUID(const char *name, long *device) {
    *device = 7;
    return strcmp(name, "GPU-ab") ? 6 : 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(long device, unsigned *count, process *found) {
    if (*count < 2) { *count = 2; return 7; }
    found[0] = (process){1, 99, 0, 0};
    found[1] = (process){device == 2 ? getpid() : 2, 5, 0, 0};
    *count = 2;
    return 0;
}
int nvmlDeviceGetMemoryInfo(long device, memory *found) { *found = (memory){100, 91, 9}; return 0; }
int nvmlDeviceGetUtilizationRates(long device, utilization *found) {
    *found = (utilization){10 * device, 0};
    return 0;
}
"""
ASK = """
import os, sys
from deploy.serving import gpu
for os.environ["CUDA_VISIBLE_DEVICES"] in sys.argv[1:]:
    print(*(family[3].strip() for family in gpu.families()), sep=";")
"""


@pytest.mark.skipif(shutil.which("gcc") is None and not os.environ.get("CI"), reason="needs Debian's gcc")
def test_memory_and_utilisation_come_from_the_driver_s_library_for_the_device_that_cuda_sees(tmp_path):
    """A library with the driver's functions and structures stands in for it; NVIDIA's own binding calls it."""
    pytest.importorskip("pynvml")
    source = tmp_path / "driver.c"
    source.write_text(DRIVER)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    environ = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    command = [sys.executable, "-c", ASK, "2,3", "GPU-ab,0", "", "odd", "8", "GPU-gone"]
    asked = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=True)
    line = "model_gpu_memory_bytes {};model_gpu_utilization_ratio {}"
    assert asked.stdout.splitlines() == [
        line.format(5, 0.2),  # its own memory, where the driver knows the process
        line.format(9, 0.7),  # all that is used, where it does not
        line.format(9, 0.0), line.format(9, 0.0),  # the first device
        "", "",  # CUDA sees a device that is not there
    ]  # fmt: skip


def test_a_gpu_that_silently_fell_back_is_refused():
    with pytest.raises(LoadError, match="did not start"):
        providers.check("tensorrt", [CUDA, CPU])


def test_a_model_that_was_to_have_a_gpu_and_has_none_says_so():
    assert "CUDA did not start, so the CPU runs it" in providers.fallen_back([CUDA, CPU], [CPU])
    assert providers.fallen_back([CUDA, CPU], [CUDA, CPU]) == ""
    assert providers.fallen_back([CPU], [CPU]) == ""


@pytest.mark.parametrize("choice", ["cuda", "tensorrt"])
def test_a_gpu_answers_as_the_cpu_does_within_rounding_and_its_memory_is_told(tmp_path, choice):
    if {"cuda": CUDA, "tensorrt": TENSORRT}[choice] not in onnxruntime.get_available_providers():
        pytest.skip(f"needs onnxruntime-gpu with {choice}, and a GPU")
    rows = np.random.default_rng(5).normal(size=(8, 3)).astype(np.float32)
    label, probabilities = loaded(models.classifier(), "off", "cpu").run([rows])
    with running(tmp_path, models.classifier(), provider=choice, cache=tmp_path / "cache") as server:
        outputs = server.predict(rows.tolist()).json["outputs"]
        assert outputs["label"] == label.tolist()
        np.testing.assert_allclose(outputs["probabilities"], probabilities, 1e-3, 1e-3)  # TF32 has ten bits
        assert "model_gpu_memory_bytes" in server.get("/metrics").body.decode()
