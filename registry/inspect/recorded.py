"""Formats that are recorded as what they are: described by their headers, never loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from registry.domain.signature import Signature
from registry.inspect.archives import describe_checkpoint, describe_torchscript
from registry.inspect.baseline import Finding, finding
from registry.inspect.bounded import Reader
from registry.inspect.gguf import describe_gguf
from registry.inspect.pickles import describe_joblib, describe_pickle
from registry.inspect.safetensors import describe_safetensors
from registry.inspect.sniff import Kind

Described = tuple[dict[str, Any], list[Finding]]
# Suffixes that say what a file is; a file whose content is something else was misnamed.
_SUFFIXES = {
    ".onnx": {"onnx", "unknown"}, ".gguf": {"gguf"}, ".safetensors": {"safetensors"},
    ".pkl": {"pickle", "joblib"}, ".pickle": {"pickle", "joblib"}, ".joblib": {"pickle", "joblib"},
    ".pt": {"torchscript", "pytorch"}, ".pth": {"torchscript", "pytorch"}, ".plan": {"tensorrt"},
    ".engine": {"tensorrt"},
}  # fmt: skip


def _plan(path: Path) -> Described:
    """The release that built it stands in bytes 24 to 27, where the layout (bytes 4 to 7) is 0: as trtexec's
    --getPlanVersionOnly reads it, samples/common/sampleEngines.cpp in NVIDIA/TensorRT."""
    with Reader(path, "a TensorRT plan") as reader:
        head = reader.take(28)
    release = ".".join(map(str, head[24:28])) if not any(head[4:8]) and any(head[24:28]) else ""
    told = "A TensorRT plan runs only on the GPU type and TensorRT release it was built with"
    told += f": {release}." if release else "."
    return {"tensorrt": release} if release else {}, [finding("tied_to_gpu", told, "info")]


DESCRIBED: Mapping[str, Callable[[Path], Described]] = {
    "gguf": lambda path: (describe_gguf(path), []),
    "safetensors": lambda path: (describe_safetensors(path), []),
    "tensorrt": _plan,
    "torchscript": describe_torchscript,
    "pytorch": describe_checkpoint,
    "pickle": describe_pickle,
    "joblib": describe_joblib,
}


def recorded(
    code: str,
    facts: dict[str, Any],
    findings: Sequence[Finding],
    signature: Signature,
    reference: str | None,
) -> dict[str, Any]:
    """The result document of a format that is not run."""
    notes = list(findings)
    if reference is not None:
        told = "The reference set was kept but not run: only ONNX models are."
        notes.append(finding("reference_not_run", told, "info"))
    return {
        "format": code,
        "signature": signature.to_dict(),
        "profile": None,
        "findings": notes,
        "inspection": facts,
    }


def misnamed(kind: Kind, filename: str) -> list[Finding]:
    """A warning when the file's suffix promises something else than its content."""
    suffix = PurePosixPath(filename).suffix.lower()
    expected = _SUFFIXES.get(suffix)
    if expected is None or kind.code in expected:
        return []
    return [finding("misnamed", f"The file's name ends with {suffix}, but it is {kind.title}.")]
