"""TensorFlow's SavedModel: its tags and signatures, read without TensorFlow.

Only the few fields below are declared; protobuf skips all others. Their numbers are those of
tensorflow/core/protobuf/saved_model.proto and meta_graph.proto.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from registry.domain.signature import Signature, Tensor
from registry.errors import Invalid

_F = descriptor_pb2.FieldDescriptorProto
# Message: fields as (name, number, type or message name, repeated).
_LAYOUT: dict[str, tuple[tuple[str, int, Any, bool], ...]] = {
    "Dim": (("size", 1, _F.TYPE_INT64, False), ("name", 2, _F.TYPE_STRING, False)),
    "Shape": (("dim", 2, "Dim", True), ("unknown_rank", 3, _F.TYPE_BOOL, False)),
    "TensorInfo": (
        ("name", 1, _F.TYPE_STRING, False), ("dtype", 2, _F.TYPE_INT32, False), ("shape", 3, "Shape", False),
    ),
    "TensorEntry": (("key", 1, _F.TYPE_STRING, False), ("value", 2, "TensorInfo", False)),
    "SignatureDef": (
        ("inputs", 1, "TensorEntry", True), ("outputs", 2, "TensorEntry", True),
        ("method_name", 3, _F.TYPE_STRING, False),
    ),
    "SignatureEntry": (("key", 1, _F.TYPE_STRING, False), ("value", 2, "SignatureDef", False)),
    "MetaInfo": (("tags", 4, _F.TYPE_STRING, True), ("version", 5, _F.TYPE_STRING, False)),
    "MetaGraph": (("info", 1, "MetaInfo", False), ("signatures", 5, "SignatureEntry", True)),
    "SavedModel": (("schema", 1, _F.TYPE_INT64, False), ("graphs", 2, "MetaGraph", True)),
}  # fmt: skip
# tensorflow/core/framework/types.proto
_DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64",
    9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32",
    23: "uint64",
}  # fmt: skip
_SERVE, _DEFAULT = "serve", "serving_default"


def describe_savedmodel(path: Path) -> tuple[dict[str, Any], Signature]:
    """Facts of `saved_model.pb`, and the signature that servers use; `Invalid` when it cannot be read."""
    message = message_class("SavedModel")()
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise _damaged() from error
    if not message.graphs or message.schema != 1:
        raise _damaged()
    graph = next((g for g in message.graphs if _SERVE in g.info.tags), message.graphs[0])
    signatures = {entry.key[:200]: entry.value for entry in graph.signatures}
    chosen = signatures.get(_DEFAULT) or next(iter(signatures.values()), None)
    facts = {
        "tags": sorted(tag[:200] for tag in graph.info.tags),
        "tensorflow": graph.info.version[:50],
        "signatures": sorted(signatures),
    }
    if chosen is None:
        return facts, Signature((), ())
    return facts, Signature(_tensors(chosen.inputs), _tensors(chosen.outputs))


def message_class(name: str) -> Any:
    """The protobuf class of one of the messages above."""
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="saved.proto", package="saved", syntax="proto3")
    for message, fields in _LAYOUT.items():
        made = file.message_type.add(name=message)
        for field, number, kind, repeated in fields:
            label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
            if isinstance(kind, str):
                made.field.add(
                    name=field, number=number, label=label, type=_F.TYPE_MESSAGE, type_name=f".saved.{kind}"
                )
            else:
                made.field.add(name=field, number=number, label=label, type=kind)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"saved.{name}"))


def _tensors(entries: Any) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            entry.key[:200], _DTYPES.get(entry.value.dtype, f"type {entry.value.dtype}"), _shape(entry.value)
        )
        for entry in sorted(entries, key=lambda entry: str(entry.key))
    )


def _shape(info: Any) -> tuple[int | str | None, ...]:
    return tuple(
        dimension.size if dimension.size >= 0 else (dimension.name[:60] or None)
        for dimension in info.shape.dim
    )


def _damaged() -> Invalid:
    return Invalid(
        "saved_model.pb cannot be read: it is damaged or truncated.",
        field="artifact",
        hint="Upload it again.",
    )
