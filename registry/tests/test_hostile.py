"""Files made to hurt: each is refused or flagged within a little memory and processor time."""

import io
import resource
import zipfile

import pytest

from registry.errors import Invalid
from registry.inspect.limits import Limits
from registry.inspect.sandbox import inspect_file
from registry.tests import model_files, onnx_files

# Far less than an inspection may usually take. What the libraries map counts, 2 GiB of it without a file.
TIGHT = Limits(memory_mb=3072, cpu_seconds=20, wall_seconds=60)
LINEAR = onnx_files.linear().SerializeToString()


def zip_bomb(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"\x80\x04.")
        with archive.open(name, "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(b"\0" * (1 << 20))
    return buffer.getvalue()


def nested(depth):
    """A graph inside a graph inside a graph…, as length-delimited fields."""
    content = b""
    for _ in range(depth):
        content = b"\x3a" + varint(len(content)) + content
    return b"\x08\x0a" + content


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


HOSTILE = {
    "protobuf that claims 2 GB": (
        b"\x08\x0a\x3a" + varint((2 << 30) - 1) + b"x" * 100,
        "damaged or truncated",
    ),
    "protobuf that claims 2^62 bytes": (b"\x08\x0a\x3a" + varint(1 << 62) + b"x", "damaged or truncated"),
    "protobuf nested 5,000 deep": (nested(5000), "ONNX checker refuses|damaged or truncated"),
    "truncated model": (LINEAR[:-20], "damaged or truncated"),
    "zip bomb in a checkpoint": (zip_bomb("model/data/0"), "PyTorch does not compress"),
    "zip bomb in a script": (zip_bomb("model/code/__torch__.py"), "PyTorch does not compress"),
    "GGUF that claims 2^60 tensors": (model_files.gguf(claim=1 << 60), "claims"),
    "safetensors whose header is 4 GB": (b"\0\0\0\0\1\0\0\0{" + b"x" * 50, "no format|claims more bytes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_bounded_time_and_memory(tmp_path, name):
    content, told = HOSTILE[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(Invalid, match=told):
        inspect_file(path, limits=TIGHT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < TIGHT.cpu_seconds
    # The largest child of this process so far; an inspection of a sound model takes about 150 MiB.
    assert after.ru_maxrss < 1 << 20, "KiB"


def test_an_operator_of_ones_own_is_refused_with_its_name(tmp_path):
    model = onnx_files.linear()
    model.graph.node[0].op_type, model.graph.node[0].domain = "Exfiltrate", "com.example"
    model.opset_import.add(domain="com.example", version=1)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(Invalid, match="Exfiltrate"):
        inspect_file(path, limits=TIGHT)
