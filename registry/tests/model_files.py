"""Small files of formats that are recorded but not run."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Sequence

from registry.inspect.savedmodel import message_class


def gguf(*, claim: int | None = None, kind: int = 2, values: int = 64, alignment: int = 32) -> bytes:
    """One tensor of `values` numbers, type `kind` (2: Q4_0, blocks of 32 in 18 bytes)."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, 1 if claim is None else claim, 4)
    head += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    head += text("llama.block_count") + struct.pack("<II", 4, 1)
    head += text("general.alignment") + struct.pack("<II", 4, alignment)
    head += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    head += text("blk.0.attn_q.weight") + struct.pack("<IQQIQ", 2, 32, values // 32, kind, 0)
    return head + b"\0" * (-len(head) % 32) + b"\1" * min(values // 32 * 18, 1 << 10)


def safetensors(*, end: int = 16, shape: Sequence[int] = (2, 2), dtype: str = "F32") -> bytes:
    """One tensor of 16 bytes, said to end at `end`."""
    header = json.dumps({"w": {"dtype": dtype, "shape": list(shape), "data_offsets": [0, end]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 16


def torch_archive(members: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive as PyTorch writes them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved_model() -> bytes:
    """`saved_model.pb` with one signature, x [?, 3] to y [?, 1]."""
    made = message_class("SavedModel")()
    made.schema = 1
    graph = made.graphs.add()
    graph.info.tags.append("serve")
    graph.info.version = "2.16.1"
    entry = graph.signatures.add(key="serving_default")
    for side, name, width in (("inputs", "x", 3), ("outputs", "y", 1)):
        tensor = getattr(entry.value, side).add(key=name)
        tensor.value.dtype = 1
        for size in (-1, width):
            tensor.value.shape.dim.add(size=size)
    return made.SerializeToString()
