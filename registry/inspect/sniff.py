"""A file's kind by its first bytes; extensions are not believed."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

_HEAD = 512
_EXPORT = "Export the model to ONNX (for scikit-learn: skl2onnx) and register that file."
_PICKLE = f"Loading it would execute code, so Slipway never opens it. {_EXPORT}"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the file is (`a pickle`) and what to do about it."""

    code: str
    title: str
    hint: str = _EXPORT


ONNX = Kind("onnx", "an ONNX model")
UNKNOWN = Kind("unknown", "of no format Slipway knows")

_UNPACK = "Unpack it and register the model file inside."
_PLAN = Kind("tensorrt", "a TensorRT plan", "It is tied to one GPU type; register the ONNX model instead.")
_MAGICS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89HDF\r\n\x1a\n", Kind("hdf5", "an HDF5 file (Keras weights?)")),
    (b"GGUF", Kind("gguf", "a GGUF model", "It needs a runtime of its own; ONNX Runtime cannot run it.")),
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
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    if _is_pickle(path, head):
        return Kind("pickle", "a pickle (joblib writes these too)", _PICKLE)
    if head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0:
        return Kind("zlib", "zlib-compressed data, most likely a joblib pickle", _PICKLE)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return Kind("safetensors", "a safetensors file", "It holds weights without a graph; export to ONNX.")
    if head and all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in head):
        return Kind("text", "a text file", f"A model in text form cannot be run by ONNX Runtime. {_EXPORT}")
    return ONNX if looks_like_onnx(head) else UNKNOWN


def looks_like_onnx(head: bytes) -> bool:
    """Whether a protobuf begins as ONNX exporters write it: field 1 (`ir_version`), a small number."""
    return len(head) >= 2 and head[0] == 0x08 and 0 < head[1] < 0x80


def _is_pickle(path: Path, head: bytes) -> bool:
    if len(head) < 2:
        return False
    if head[0] == 0x80 and 2 <= head[1] <= 5:
        return True
    # Protocols 0 and 1 have no header: they begin with an opcode and end with STOP.
    with path.open("rb") as file:
        file.seek(-1, 2)
        ends_with_stop = file.read(1) == b"."
    return ends_with_stop and (head.startswith((b"ccopy_reg\n", b"csklearn", b"(dp", b"(lp", b"(ip")))


def _zip_kind(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:10_000]
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return Kind("zip", "a damaged zip archive", "Upload it again.")
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        if any("/code/" in name for name in names):
            return Kind("torchscript", "a TorchScript archive", "Export the model with torch.onnx.export.")
        hint = f"{_PICKLE.removesuffix(_EXPORT)}Export the model with torch.onnx.export."
        return Kind("pytorch", "a PyTorch checkpoint, which is a pickle inside", hint)
    if "config.json" in names and any(name.endswith(".h5") for name in names):
        return Kind(
            "keras", "a Keras archive", "Export the model with tf2onnx or model.export(format='onnx')."
        )
    if names and all(name.endswith(".npy") for name in names):
        return Kind("npz", "a NumPy archive", "It holds data, not a model. Is it the reference set?")
    return Kind("zip", "a zip archive", _UNPACK)
