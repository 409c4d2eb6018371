"""Classifiers as skl2onnx exports them by default: maps of probabilities, which no tensor protocol has.

The last node, ZipMap, writes each row's probabilities beside the names of their classes. The model server
runs the model without it (`deploy/serving/zipmap.py`): the output keeps its name and is ZipMap's input, the
tensor [rows, classes]. The same is done here, so that signature, baseline and parity are those of what is
served.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path

import onnx
from onnx import helper

from registry.domain.text import listed
from registry.inspect.baseline import Finding, finding

OPSET = 13
_LISTED = 20


def replace_zipmaps(model: onnx.ModelProto) -> dict[str, list[str]]:
    """Make tensors of the outputs that are ZipMap's, in place; the classes of each one's columns."""
    used = {name for node in model.graph.node for name in node.input}
    outputs = {value.name: value for value in model.graph.output}
    found = {}
    for node in model.graph.node:
        output = outputs.get(node.output[0]) if node.op_type == "ZipMap" else None
        if output is None or output.name in used:
            continue
        labels = [str(label) for item in node.attribute for label in item.ints]
        labels += [label.decode(errors="replace") for item in node.attribute for label in item.strings]
        del node.attribute[:]
        node.op_type, node.domain = "Identity", ""
        output.type.CopyFrom(helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [None, len(labels)]))
        found[output.name] = labels
    if found and all(opset.domain not in ("", "ai.onnx") for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", OPSET))
    return found


def without_zipmaps(path: Path) -> bytes | None:
    """The model in a file as it is served; None where the file will do, since it has no such outputs."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if content.find(b"ZipMap") < 0:
            return None
    model = onnx.load(str(path), load_external_data=False)
    return model.SerializeToString() if replace_zipmaps(model) else None


def zipmap_findings(classes: dict[str, list[str]]) -> list[Finding]:
    """What people should know of outputs that were lists of maps."""
    return [
        finding(
            "output_was_map",
            f"Output {name!r} is a list of maps (ZipMap). The model server gives a tensor instead; "
            f"its columns are the classes {listed(labels, _LISTED)}. "
            "For other servers, export with zipmap=False.",
            "info",
        )
        for name, labels in classes.items()
    ]
