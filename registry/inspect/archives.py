"""PyTorch's zip archives: TorchScript and checkpoints. Members are stored in them, not compressed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from registry.errors import Invalid
from registry.inspect.baseline import Finding
from registry.inspect.pickles import told_of

_MEMBERS = 100_000
_SMALL = 4096
_PICKLE = 64 << 20


def describe_torchscript(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """Files of code, tensors and the archive's version."""
    with _opened(path) as archive:
        names = archive.namelist()
        code = [name for name in names if "/code/" in name and name.endswith(".py")]
        tensors = [name for name in names if "/data/" in name or "/constants/" in name]
        version = next((name for name in names if name.endswith("/version")), "")
        facts = {
            "archive_version": _read(archive, version, _SMALL).decode("ascii", "replace").strip(),
            "modules": [name.partition("/code/")[2][:200] for name in code[:50]],
            "tensors": len(tensors),
            "tensor_bytes": sum(archive.getinfo(name).file_size for name in tensors),
        }
    return facts, []


def describe_checkpoint(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """What the pickle inside of a checkpoint would import."""
    with _opened(path) as archive:
        name = next(n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl"))
        facts, findings = told_of(BytesIO(_read(archive, name, _PICKLE)))
        return facts | {"members": len(archive.namelist())}, findings


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if len(members) > _MEMBERS or unpacked > path.stat().st_size:
                raise Invalid(
                    f"The archive unpacks to {unpacked >> 20} MiB from {path.stat().st_size >> 20}: "
                    "PyTorch does not compress.",
                    field="artifact",
                    hint="Save it again with torch.save or torch.jit.save.",
                )
            yield archive
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise Invalid(
            f"The archive cannot be read: {error}.", field="artifact", hint="Upload it again."
        ) from error


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    if not name:
        return b""
    with archive.open(name) as member:
        return member.read(most)
