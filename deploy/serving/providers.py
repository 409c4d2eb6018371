"""Which of ONNX Runtime's execution providers runs the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import LoadError

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

# In the order ONNX Runtime tries them; what a provider cannot run falls to the next.
_ORDER = {"cpu": (CPU,), "cuda": (CUDA, CPU), "tensorrt": (TENSORRT, CUDA, CPU)}


def choose(choice: str, available: Sequence[str]) -> list[str]:
    """Providers for `choice` (auto, cpu, cuda, tensorrt); auto is cuda where the runtime has it.

    Raises:
        LoadError: this build of ONNX Runtime does not have the provider.
    """
    if choice == "auto":
        choice = "cuda" if CUDA in available else "cpu"
    wanted = _ORDER[choice]
    if wanted[0] not in available:
        raise LoadError(f"this ONNX Runtime has no {choice} provider (it has: {', '.join(available)}); "
                        "install onnxruntime-gpu, or choose --provider cpu")  # fmt: skip
    return [provider for provider in wanted if provider in available]


def check(choice: str, active: Sequence[str]) -> None:
    """Raise LoadError if the session silently fell back from a provider that was asked for by name."""
    if choice != "auto" and _ORDER[choice][0] not in active:
        raise LoadError(f"the {choice} provider did not start (the session has: {', '.join(active)}); "
                        "its driver or libraries may be missing")  # fmt: skip


def fallen_back(chosen: Sequence[str], active: Sequence[str]) -> str:
    """What to tell of a session that runs without the first of the providers it was to have; '' of others."""
    if not chosen or chosen[0] in active:
        return ""
    name = chosen[0].removesuffix("ExecutionProvider")
    return f"{name} did not start, so the CPU runs it: its driver, libraries or GPU may be missing"


def with_options(chosen: Sequence[str], cache: Path | None) -> list[str | tuple[str, dict[str, Any]]]:
    """Providers as a session takes them; TensorRT keeps its engines, built in minutes, in `cache`."""
    if cache is None or TENSORRT not in chosen:
        return list(chosen)
    folder = cache / "tensorrt"
    folder.mkdir(parents=True, exist_ok=True)
    engines = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(folder)}
    return [(name, engines) if name == TENSORRT else name for name in chosen]


def binds(choice: str, active: Sequence[str]) -> bool:
    """Whether runs bind inputs and outputs (choice: auto, on, off); auto where memory is not the host's."""
    if choice != "auto":
        return choice == "on"
    return on_gpu(active)


def on_gpu(active: Sequence[str]) -> bool:
    """Whether the first provider of a session computes on an NVIDIA GPU."""
    return bool(active) and active[0] in (CUDA, TENSORRT)
