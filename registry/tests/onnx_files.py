"""Small ONNX models made on the spot, good and bad."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def linear(
    columns: int = 3, *, opset: int = 17, ir: int = 10, batch: int | str = "N", weight: float = 1.0
) -> onnx.ModelProto:
    """y = weight * sum of the columns, as one MatMul."""
    weights = np.full((columns, 1), weight, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [batch, columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 1])],
        [numpy_helper.from_array(weights, "W")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def lookup(entries: int = 4) -> onnx.ModelProto:
    """y = table[X]: fails at run time for an index outside the table."""
    table = np.arange(entries, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "X"], ["y"])],
        "lookup",
        [helper.make_tensor_value_info("X", TensorProto.INT64, ["N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def divider() -> onnx.ModelProto:
    """y = 1 / X: infinite at zero."""
    graph = helper.make_graph(
        [helper.make_node("Reciprocal", ["X"], ["y"])],
        "divider",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def maps() -> onnx.ModelProto:
    """Probabilities of three classes as maps, as a classifier is exported by default."""
    probability = helper.make_map_type_proto(
        TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
    graph = helper.make_graph(
        [
            helper.make_node("Softmax", ["X"], ["p"], axis=1),
            helper.make_node(
                "ZipMap", ["p"], ["probability"], domain="ai.onnx.ml", classlabels_strings=["c", "a", "b"]
            ),
        ],
        "maps",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 3])],
        [helper.make_value_info("probability", helper.make_sequence_type_proto(probability))],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def two_inputs() -> onnx.ModelProto:
    """label = age > 40 and name given through unchanged: a numeric and a text input."""
    forty = numpy_helper.from_array(np.array([[40.0]], dtype=np.float32), "forty")
    graph = helper.make_graph(
        [
            helper.make_node("Greater", ["age", "forty"], ["older"]),
            helper.make_node("Identity", ["town"], ["town_out"]),
        ],
        "two",
        [
            helper.make_tensor_value_info("age", TensorProto.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("town", TensorProto.STRING, ["N", 1]),
        ],
        [
            helper.make_tensor_value_info("older", TensorProto.BOOL, ["N", 1]),
            helper.make_tensor_value_info("town_out", TensorProto.STRING, ["N", 1]),
        ],
        [forty],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def with_external_data(location: str) -> onnx.ModelProto:
    """The linear model with its weights declared to lie in another file."""
    model = linear()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return model


def save_apart(model: onnx.ModelProto, file: Path, location: str = "weights.bin") -> Path:
    """The model saved as `file`, all of its weights at `location` beside it; the folder of both."""
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, str(file), save_as_external_data=True, location=location, size_threshold=0)
    return file.parent


def with_huge_tensor() -> onnx.ModelProto:
    """A few bytes that ask the runtime for a tensor of 4 TiB when it folds constants."""
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20], dtype=np.int64), "shape")
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["big"]),
            helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
            helper.make_node("Add", ["X", "sum"], ["y"]),
        ],
        "huge",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        [shape],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def reference(**arrays: np.ndarray) -> bytes:
    """An .npz of the arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
