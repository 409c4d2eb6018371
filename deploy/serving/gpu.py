"""Memory and utilisation of the GPU, from NVIDIA's management library; nothing where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .exposition import Family, Sample


def families() -> list[Family]:
    """Gauges of the GPU this process computes on, in text format; none without library, driver or GPU."""
    with _library() as nvml:
        if nvml is None:
            return []
        try:
            device = device_of(nvml, os.environ.get("CUDA_VISIBLE_DEVICES", ""))
            memory = memory_of(nvml, device, os.getpid())
            busy = nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
        except nvml.NVMLError:
            return []
    used, ratio = (
        Sample("model_gpu_memory_bytes", {}, memory),
        Sample("model_gpu_utilization_ratio", {}, busy),
    )
    return [
        ("model_gpu_memory_bytes", "gauge", "GPU memory of this process.", used.text()),
        ("model_gpu_utilization_ratio", "gauge", "Share of time the GPU was busy, whoever kept it so.",
         ratio.text()),
    ]  # fmt: skip


def device_of(nvml: Any, visible: str) -> Any:
    """The first device that CUDA sees: an index or a UUID of CUDA_VISIBLE_DEVICES, or else number 0."""
    first = visible.split(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first) if first.isdigit() else 0)


def memory_of(nvml: Any, device: Any, process: int) -> int:
    """Bytes this process uses; all that is used where the driver does not say, as inside a container."""
    for found in nvml.nvmlDeviceGetComputeRunningProcesses(device):
        if found.pid == process and found.usedGpuMemory:
            return int(found.usedGpuMemory)
    return int(nvml.nvmlDeviceGetMemoryInfo(device).used)


@contextmanager
def _library() -> Iterator[Any]:
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver, or one too old: there is nothing to report
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()
