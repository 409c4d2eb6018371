"""Classifiers as skl2onnx and others export them by default: a last node that makes maps of probabilities.

That node, ZipMap, writes each row's probabilities beside the names of their classes, as a sequence of maps,
which no tensor protocol has. Its input is the tensor [rows, classes]. So in memory the node becomes an
Identity: the output keeps its name and gives that tensor, bit for bit, and no run has to build the maps. The
artifact's bytes stay as they were verified. `registry/inspect/zipmap.py` does the same, so that the registry
describes what is served.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

FLOAT = 1  # onnx.TensorProto.FLOAT, the only type that ZipMap takes
OPSET = 13  # for a model that uses no operators of ONNX's own; any has Identity

# Of onnx.proto what is read or changed here; protobuf carries all other fields along.
_FIELDS: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Model": (("graph", 7, "Graph"), ("opset_import", 8, "[]Opset")),
    "Opset": (("domain", 1, "string"), ("version", 2, "int64")),
    "Graph": (("node", 1, "[]Node"), ("output", 12, "[]Value")),
    "Node": (("input", 1, "[]string"), ("output", 2, "[]string"), ("op_type", 4, "string"),
             ("attribute", 5, "[]Attribute"), ("domain", 7, "string")),
    "Attribute": (("name", 1, "string"), ("ints", 8, "[]int64"), ("strings", 9, "[]bytes")),
    "Value": (("name", 1, "string"), ("type", 2, "Type")),
    "Type": (("tensor_type", 1, "Tensor"),),
    "Tensor": (("elem_type", 1, "int32"), ("shape", 2, "Shape")),
    "Shape": (("dim", 1, "[]Dimension"),),
    "Dimension": (("dim_value", 1, "int64"),),
}  # fmt: skip
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING, "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int64": FieldDescriptorProto.TYPE_INT64, "int32": FieldDescriptorProto.TYPE_INT32,
}  # fmt: skip

Classes = dict[str, list[str]]
"""By output, the names of the classes that its columns are of."""


def without_zipmaps(content: bytes) -> tuple[bytes, Classes]:
    """The model with tensors in place of outputs that are lists of maps; what has none stays as it is."""
    model = _model()()
    try:
        model.ParseFromString(content)
        classes = _replace(model.graph)
    except (DecodeError, ValueError):  # the runtime will say what is wrong with it
        return content, {}
    if not classes:
        return content, {}
    if all(opset.domain not in ("", "ai.onnx") for opset in model.opset_import):
        model.opset_import.add(domain="", version=OPSET)
    return model.SerializeToString(), classes


def _replace(graph: Any) -> Classes:
    used = {name for node in graph.node for name in node.input}
    outputs = {value.name: value for value in graph.output}
    classes: Classes = {}
    for node in graph.node:
        if node.op_type != "ZipMap" or len(node.output) != 1:
            continue
        output = outputs.get(node.output[0])
        if output is None or output.name in used:
            continue
        names = [str(label) for item in node.attribute for label in item.ints]
        names += [label.decode(errors="replace") for item in node.attribute for label in item.strings]
        del node.attribute[:]
        node.op_type, node.domain = "Identity", ""
        output.ClearField("type")
        output.type.tensor_type.elem_type = FLOAT
        shape = output.type.tensor_type.shape
        shape.dim.add()
        shape.dim.add(dim_value=len(names))
        classes[output.name] = names
    return classes


@cache
def _model() -> Any:
    file = FileDescriptorProto(name="onnx_parts.proto", package="onnx_parts")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add(message, *field)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("onnx_parts.Model"))


def _add(message: DescriptorProto, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number)
    several, kind = kind.startswith("[]"), kind.removeprefix("[]")
    field.label = FieldDescriptorProto.LABEL_REPEATED if several else FieldDescriptorProto.LABEL_OPTIONAL
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".onnx_parts.{kind}"
