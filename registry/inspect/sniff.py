"""A file's kind by its first bytes; extensions are not believed."""

from __future__ import annotations

import bz2
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEAD = 512
_EXPORT = "Export the model to ONNX (for scikit-learn: skl2onnx) and register that file."
# How much of a compressed file is looked at.
_PEEK = 1 << 16
# An import (c), or an empty container, as protocols 0 and 1 begin.
_OLD_PICKLE = re.compile(rb"c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\([dlit](p\d|\.)|[\]}]q")


@dataclass(frozen=True, slots=True)
class Kind:
    """What the file is (`a pickle`) and what to do about it."""

    code: str
    title: str
    hint: str = _EXPORT


ONNX = Kind("onnx", "an ONNX model")
UNKNOWN = Kind("unknown", "of no format Slipway knows")

_UNPACK = "Unpack it and register the model file, or the folder, inside."
_PLAN = Kind("tensorrt", "a TensorRT plan")
PICKLE = Kind("pickle", "a pickle")
JOBLIB = Kind("joblib", "a compressed joblib pickle")
SAFETENSORS = Kind("safetensors", "a safetensors file")
_MAGICS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89HDF\r\n\x1a\n", Kind("hdf5", "an HDF5 file (Keras weights?)")),
    (b"GGUF", Kind("gguf", "a GGUF model")),
    (b"ftrt", _PLAN),
    (b"ptrt", _PLAN),
    (b"ORTM", Kind("ort", "a model in ORT format", "Register the .onnx file it was made from.")),
    (b"\x1f\x8b", Kind("gzip", "a gzip archive", _UNPACK)),
    (b"BZh", Kind("bzip2", "a bzip2 archive", _UNPACK)),
    (b"\xfd7zXZ", Kind("xz", "an xz archive", _UNPACK)),
    (b"\x93NUMPY", Kind("npy", "a NumPy array", "It holds data, not a model.")),
    (
        b"version https://git-lfs",
        Kind("lfs", "a Git LFS pointer", "Run `git lfs pull` and register that file."),
    ),
    (b"\x7fELF", Kind("elf", "a program")),
    (b"\x89PNG", Kind("image", "a PNG image", "It holds no model.")),
    (b"%PDF", Kind("pdf", "a PDF document", "It holds no model.")),
)


def sniff(path: Path) -> Kind:
    """The kind of the file; `UNKNOWN` may still turn out to be ONNX, whose format has no magic number."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    unpacked = _unpacked(path, head)
    if _is_pickle_head(unpacked):
        return JOBLIB
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    if _is_pickle_head(head) or _is_old_pickle(path, head):
        return PICKLE
    if unpacked:
        return Kind("zlib", "zlib-compressed data", _UNPACK)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return SAFETENSORS
    if head and all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in head):
        return Kind("text", "a text file", f"A model in text form cannot be run by ONNX Runtime. {_EXPORT}")
    return ONNX if looks_like_onnx(head) else UNKNOWN


def looks_like_onnx(head: bytes) -> bool:
    """Whether a protobuf begins as ONNX exporters write it: field 1 (`ir_version`), a small number."""
    return len(head) >= 2 and head[0] == 0x08 and 0 < head[1] < 0x80


def _is_pickle_head(head: bytes) -> bool:
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _is_old_pickle(path: Path, head: bytes) -> bool:
    """Protocols 0 and 1 have no header: they begin with an opcode and end with STOP."""
    if len(head) < 2:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        ends_with_stop = file.read(1) == b"."
    return ends_with_stop and _OLD_PICKLE.match(head) is not None


def _unpacked(path: Path, head: bytes) -> bytes:
    """The first bytes inside of a file compressed as joblib does it; nothing when it is not."""
    is_zlib = head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0
    makers: tuple[tuple[bool, Callable[[], Any]], ...] = (
        (is_zlib, lambda: zlib.decompressobj()),
        (head.startswith(b"\x1f\x8b"), lambda: zlib.decompressobj(wbits=31)),
        (head.startswith(b"BZh"), bz2.BZ2Decompressor),
        (head.startswith((b"\xfd7zXZ", b"\x5d\x00")), lambda: lzma.LZMADecompressor(memlimit=1 << 28)),
    )
    make = next((make for wanted, make in makers if wanted), None)
    if make is None:
        return b""
    with path.open("rb") as file:
        packed = file.read(_PEEK)
    try:
        return bytes(make().decompress(packed, _HEAD))
    except (zlib.error, OSError, lzma.LZMAError, EOFError):
        return b""


def _zip_kind(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:10_000]
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return Kind("zip", "a damaged zip archive", "Upload it again.")
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        if any("/code/" in name for name in names):
            return Kind("torchscript", "a TorchScript archive")
        return Kind("pytorch", "a PyTorch checkpoint, which is a pickle inside")
    if "config.json" in names and any(name.endswith(".h5") for name in names):
        return Kind(
            "keras", "a Keras archive", "Export the model with tf2onnx or model.export(format='onnx')."
        )
    if names and all(name.endswith(".npy") for name in names):
        return Kind("npz", "a NumPy archive", "It holds data, not a model. Is it the reference set?")
    return Kind("zip", "a zip archive", _UNPACK)
