"""GPU support, as far as a machine without one can tell: the choice of providers, binding, and no metrics.

What only a GPU can show (that the kernels run there, and how fast) is not tested here.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from deploy.serving import gpu, providers
from deploy.serving.artifact import Artifact
from deploy.serving.errors import LoadError
from deploy.serving.model import load_model
from deploy.serving.providers import CPU, CUDA, TENSORRT

from . import models
from .support import launched

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


def test_tensorrt_keeps_its_engines_in_the_cache():
    both = [TENSORRT, CUDA, CPU]
    assert providers.with_options(both, None) == both
    (name, options), *rest = providers.with_options(both, Path("/cache"))
    assert (name, rest) == (TENSORRT, [CUDA, CPU])
    assert options == {"trt_engine_cache_enable": True, "trt_engine_cache_path": "/cache/tensorrt"}
    assert providers.with_options([CPU], Path("/cache")) == [CPU]


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


class Nvml:
    """The part of NVML that is asked, for a device with one process."""

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802
        return name

    def nvmlDeviceGetComputeRunningProcesses(self, _):  # noqa: N802
        return [SimpleNamespace(pid=7, usedGpuMemory=5)]

    def nvmlDeviceGetMemoryInfo(self, _):  # noqa: N802
        return SimpleNamespace(used=9)


@pytest.mark.parametrize(("visible", "device"), [("", 0), ("2,3", 2), ("GPU-ab", "GPU-ab"), ("odd", 0)])
def test_the_device_is_the_first_that_cuda_sees(visible, device):
    assert gpu.device_of(Nvml(), visible) == device


def test_memory_is_the_process_s_own_where_the_driver_knows_it():
    assert gpu.memory_of(Nvml(), 0, 7) == 5
    assert gpu.memory_of(Nvml(), 0, 8) == 9


def test_a_gpu_that_silently_fell_back_is_refused():
    with pytest.raises(LoadError, match="did not start"):
        providers.check("tensorrt", [CUDA, CPU])


def test_a_model_that_was_to_have_a_gpu_and_has_none_says_so():
    assert "CUDA did not start, so the CPU runs it" in providers.fallen_back([CUDA, CPU], [CPU])
    assert providers.fallen_back([CUDA, CPU], [CUDA, CPU]) == ""
    assert providers.fallen_back([CPU], [CPU]) == ""
