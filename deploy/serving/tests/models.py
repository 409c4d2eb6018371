"""Small ONNX models with known answers, built for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Value = onnx.ValueInfoProto
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def tensor(name: str, kind: int, shape: Sequence[int | str]) -> Value:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    constants: dict[str, np.ndarray] | None = None,
    *,
    opset: int = 17,
    metadata: dict[str, str] | None = None,
) -> bytes:
    initializers = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "test", list(inputs), list(outputs), initializers)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if metadata:
        helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def linear(width: int = 3, *, opset: int = 17, metadata: dict[str, str] | None = None) -> bytes:
    """`y = X @ [1, 2, …] + 0.5`, of shape [N, 1]."""
    weights = np.arange(1, width + 1, dtype=np.float32).reshape(width, 1)
    return model(
        [helper.make_node("MatMul", ["X", "W"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["y"])],
        [tensor("X", FLOAT, ["N", width])],
        [tensor("y", FLOAT, ["N", 1])],
        {"W": weights, "b": np.array([0.5], dtype=np.float32)},
        opset=opset,
        metadata=metadata,
    )


def classifier(width: int = 3, classes: int = 2) -> bytes:
    """Label (int64, [N]) and probabilities (float, [N, classes]), as skl2onnx writes them."""
    weights = np.linspace(-1, 1, width * classes, dtype=np.float32).reshape(width, classes)
    return model(
        [
            helper.make_node("MatMul", ["X", "W"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        [tensor("X", FLOAT, ["N", width])],
        [tensor("label", INT64, ["N"]), tensor("probabilities", FLOAT, ["N", classes])],
        {"W": weights},
    )


def labelled() -> bytes:
    """Two inputs of different types: `score = 2 * amount`, `label` = the colour that came in."""
    return model(
        [
            helper.make_node("Add", ["amount", "amount"], ["score"]),
            helper.make_node("Identity", ["colour"], ["label"]),
        ],
        [tensor("amount", FLOAT, ["N", 1]), tensor("colour", STRING, ["N", 1])],
        [tensor("label", STRING, ["N", 1]), tensor("score", FLOAT, ["N", 1])],
    )


def fragile() -> bytes:
    """`y = table[int(X)]` for X of 0 to 3; the runtime fails on any other row of the batch."""
    return model(
        [
            helper.make_node("Cast", ["X"], ["index"], to=INT64),
            helper.make_node("Gather", ["table", "index"], ["y"]),
        ],
        [tensor("X", FLOAT, ["N", 1])],
        [tensor("y", FLOAT, ["N", 1])],
        {"table": np.array([10, 20, 30, 40], dtype=np.float32)},
    )


def identity(kind: int, shape: Sequence[int | str] = ("N", 2)) -> bytes:
    return model(
        [helper.make_node("Identity", ["X"], ["Y"])], [tensor("X", kind, shape)], [tensor("Y", kind, shape)]
    )


def centred() -> bytes:
    """Subtracts the batch's mean: its free leading axis is no batch axis."""
    return model(
        [
            helper.make_node("ReduceMean", ["X"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["X", "mean"], ["Y"]),
        ],
        [tensor("X", FLOAT, ["N", 2])],
        [tensor("Y", FLOAT, ["N", 2])],
    )


def row_sums() -> bytes:
    """Rows of any length: `y = sum(X, axis=1)`."""
    return model(
        [helper.make_node("ReduceSum", ["X", "axes"], ["y"], keepdims=0)],
        [tensor("X", FLOAT, ["N", "L"])],
        [tensor("y", FLOAT, ["N"])],
        {"axes": np.array([1], dtype=np.int64)},
    )


def heavy(size: int = 512, repeats: int = 60) -> bytes:
    """A chain of matrix products that takes tens of milliseconds per run."""
    nodes, source = [], "start"
    for index in range(repeats):
        nodes.append(helper.make_node("MatMul", [source, "W"], [f"m{index}"]))
        source = f"m{index}"
    nodes.append(helper.make_node("ReduceMean", [source], ["mean"], axes=[0, 1], keepdims=0))
    nodes.append(helper.make_node("Mul", ["X", "mean"], ["Y"]))
    # The chain starts from X, so that nothing of it can be folded at load.
    nodes.insert(0, helper.make_node("ReduceSum", ["X"], ["seed"], keepdims=0))
    nodes.insert(1, helper.make_node("Add", ["W", "seed"], ["start"]))
    weights = np.full((size, size), 1 / size, dtype=np.float32)
    return model(nodes, [tensor("X", FLOAT, [1, 2])], [tensor("Y", FLOAT, [1, 2])], {"W": weights})


KINDS = {
    "BOOL": TensorProto.BOOL, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16, "INT32": TensorProto.INT32,
    "INT64": INT64, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16, "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64, "FP16": TensorProto.FLOAT16, "FP32": FLOAT, "FP64": TensorProto.DOUBLE,
    "BF16": TensorProto.BFLOAT16, "BYTES": STRING,
}  # fmt: skip
"""ONNX's number of every type of the Open Inference Protocol."""
