"""The caller's side of an inspection: start the child, wait no longer than agreed, read its report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from registry.domain.plain import tellable
from registry.errors import Invalid, Unavailable
from registry.inspect.limits import Limits

_ROOT = Path(__file__).resolve().parents[2]
# The child sees no secrets, and numeric libraries start no threads whose stacks would eat the address space.
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    # ONNX Runtime tells its makers of its use unless it is told not to.
    "ORT_DISABLE_TELEMETRY": "1",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}
_TELL_SECONDS = 5.0
_GONE_WRONG = "Check that the model loads in ONNX Runtime on your machine."


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an inspection found; the fields are stored with the version as they are."""

    format: str
    signature: dict[str, Any]
    profile: dict[str, Any] | None
    findings: list[dict[str, str]]
    inspection: dict[str, Any]
    feature_names: list[str] = field(default_factory=list)


def inspect_file(
    path: Path,
    *,
    reference: Path | None = None,
    feature_names: Sequence[str] = (),
    filename: str = "",
    limits: Limits | None = None,
    tell: Callable[[], None] | None = None,
) -> Inspection:
    """Inspect the file or folder at `path` in a child process; ONNX models run `reference` (.npz).

    `filename` is the name it had before it came here; `tell` is called every few seconds meanwhile, and may
    raise to give up. Raises `Invalid` when it is damaged or of no known
    format, takes too much, or crashes the runtime; `Unavailable` when no child could be started.
    """
    size = _size(path)
    if size == 0:
        raise Invalid("The file is empty.", field="artifact", hint="Upload it again.")
    bounds = (limits or Limits()).for_size(size)
    request = {
        "path": str(path.absolute()),
        "reference": None if reference is None else str(reference.absolute()),
        "feature_names": list(feature_names),
        "filename": filename,
        "limits": asdict(bounds),
    }
    return Inspection(**_read(_run(json.dumps(request), bounds, tell), bounds))


def join_external(path: Path, into: Path, *, limits: Limits | None = None) -> bool:
    """Write the ONNX file at `path` and what its tensors keep beside it as one file; False: nothing.

    In a child process like an inspection, with the same errors.
    """
    size = _size(path.parent)
    bounds = replace((limits or Limits()).for_size(size), file_bytes=size + (1 << 20))
    request = {"path": str(path.absolute()), "into": str(into.absolute()), "limits": asdict(bounds)}
    return bool(_read(_run(json.dumps(request), bounds, None), bounds))


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.lstat().st_size for file in path.rglob("*"))
    return path.stat().st_size


def _run(request: str, limits: Limits, tell: Callable[[], None] | None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "registry.inspect", request]
    try:
        child = subprocess.Popen(
            command,
            cwd=_ROOT,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise Unavailable(f"No inspection process could be started: {error.strerror}.") from error
    with child:
        try:
            return _awaited(child, limits, tell)
        finally:
            child.kill()


def _awaited(
    child: subprocess.Popen[bytes], limits: Limits, tell: Callable[[], None] | None
) -> subprocess.CompletedProcess[bytes]:
    deadline = time.monotonic() + limits.wall_seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Invalid(
                f"The inspection did not finish within {limits.wall_seconds:g} seconds.",
                field="artifact",
                hint="Is the model much larger or slower than it should be?",
            )
        try:
            out, err = child.communicate(timeout=min(left, _TELL_SECONDS))
        except subprocess.TimeoutExpired:
            if tell is not None:
                tell()
            continue
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def _read(done: subprocess.CompletedProcess[bytes], limits: Limits) -> Any:
    if done.returncode != 0:
        raise _crash(done, limits)
    try:
        report = tellable(json.loads(done.stdout))
    except ValueError as error:
        raise Unavailable("The inspection process gave no readable report.") from error
    if "refused" in report:
        raise Invalid(**({"field": "artifact"} | report["refused"]))
    return report["ok"]


def _crash(done: subprocess.CompletedProcess[bytes], limits: Limits) -> Invalid:
    if done.returncode == -signal.SIGXCPU:
        return Invalid(
            f"The inspection used more than {limits.cpu_seconds} seconds of processor time.", field="artifact"
        )
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if any(word in line for line in lines[-5:] for word in ("MemoryError", "bad_alloc", "std::length_error")):
        return Invalid(
            f"The inspection needed more than {limits.memory_mb} MiB of memory.",
            field="artifact",
            hint=_GONE_WRONG,
        )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return Invalid(f"The model crashed the inspection ({name}).", field="artifact", hint=_GONE_WRONG)
    told = lines[-1][:300] if lines else f"exit status {done.returncode}"
    return Invalid(f"The inspection failed: {told}", field="artifact", hint=_GONE_WRONG)
