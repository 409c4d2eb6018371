"""`python -m tests.e2e.image NAME:TAG OUT.tar`: the model server as a container image, packed from this environment.

For a cluster whose nodes can be given an archive (`ctr -n k8s.io images import`, `kind load`, `k3s ctr`).
"""

from __future__ import annotations

import hashlib
import io
import json
import py_compile
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("numpy", "onnxruntime", "boto3", "uvicorn", "httptools", "uvloop", "orjson", "grpcio", "zstandard", "nvidia-ml-py")  # fmt: skip
UNUSED = {"sympy", "mpmath", "coloredlogs", "humanfriendly"}
SKIPPED = {"test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3"}


def closure(names: tuple[str, ...]) -> set[str]:
    """The packages and what they require."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found or name in UNUSED:
            continue
        try:
            wanted = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        left += [re.split(r"[ ;<>=!~\[(]", item)[0] for item in wanted if "extra ==" not in item]
    return found


def libraries(files: list[Path]) -> set[Path]:
    """Shared libraries that binaries are linked with, the loader among them."""
    said = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True).stdout
    return {Path(path) for path in re.findall(r"(?:=> )?(/[^ :]+\.so[^ :]*) \(0x", said)}


def pack(layer: tarfile.TarFile) -> None:
    """Python under its own prefix, the packages and `deploy` in its site-packages."""
    prefix = Path(sys.base_prefix)
    short = f"python3.{sys.version_info.minor}"
    lib = prefix / "lib" / short
    binaries = [prefix / "bin" / short, *(lib / "lib-dynload").glob("*.so")]
    layer.add(prefix / "bin" / short, str(prefix / "bin" / short))
    layer.add(lib, str(lib), filter=_without("site-packages"))
    for shared in (prefix / "lib").glob("libpython*"):
        layer.add(shared, str(shared))
    for name in sorted(closure(PACKAGES)):
        for file in distribution(name).files or []:
            path = Path(str(file.locate())).resolve()
            if path.is_file() and not SKIPPED.intersection(file.parts) and ".." not in file.parts:
                layer.add(path, f"{lib}/site-packages/{file}")
                _add_compiled(layer, path, f"{lib}/site-packages/{file}")
                binaries += [path] if ".so" in path.suffixes else []
    layer.add(ROOT / "deploy", f"{lib}/site-packages/deploy", filter=_without())
    for library in sorted(libraries(binaries)):
        layer.add(library.resolve(), str(library))
    link = tarfile.TarInfo("usr/bin/python")
    link.type, link.linkname = tarfile.SYMTYPE, str(prefix / "bin" / short)
    layer.addfile(link)
    for folder in ("tmp", "var/cache", "etc"):
        info = tarfile.TarInfo(folder)
        info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
        layer.addfile(info)


def _add_compiled(layer: tarfile.TarFile, path: Path, name: str) -> None:
    """Without what is compiled already, every start of a server would compile it anew."""
    if path.suffix == ".py":
        py_compile.compile(str(path), quiet=1)
        compiled = Path(cache_from_source(str(path)))
        if compiled.exists():
            layer.add(compiled, str(Path(name).parent / "__pycache__" / compiled.name))


def _without(*more: str) -> Callable[[tarfile.TarInfo], tarfile.TarInfo | None]:
    """Leaves out folders that no server needs; what was named before `deploy` or the library is not looked at."""

    def wanted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = Path(info.name).name
        return None if name in SKIPPED or name in more or name.startswith("config-3") else info

    return wanted


def write(name: str, out: Path) -> None:
    """The archive that `docker load` and `ctr images import` read."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as draft:
        with tarfile.open(draft.name, "w") as layer:
            pack(layer)
        digest = hashlib.sha256(Path(draft.name).read_bytes()).hexdigest()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        content = json.dumps(config).encode()
        called = f"{hashlib.sha256(content).hexdigest()}.json"
        manifest = [{"Config": called, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
        with tarfile.open(out, "w") as archive:
            archive.add(draft.name, f"{digest}/layer.tar")
            for path, data in ((called, content), ("manifest.json", json.dumps(manifest).encode())):
                info = tarfile.TarInfo(path)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
