"""The three models of the comparison: tabular, a perceptron of 1.3 million parameters, a small convnet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Subject:
    """A model on disk with its histograms, and one row for it: nested, flat, and as float32 bytes."""

    name: str
    path: Path
    histograms: Path
    values: list
    flat: list[float]
    row: bytes
    shape: tuple[int, ...]


def build(folder: Path) -> list[Subject]:
    """Write all models and their histogram documents below `folder`."""
    return [
        _subject(folder, "tabular", _tabular(), 30, ("X", "probabilities")),
        _subject(folder, "mlp", _perceptron((30, 1024, 1024, 256, 2)), 30, ("X", "Y")),
        _subject(folder, "convnet", _convnet(), (3, 64, 64), ("X", "Y")),
    ]


def _subject(
    folder: Path, name: str, content: bytes, shape: int | tuple[int, ...], tensors: tuple[str, str]
) -> Subject:
    shape = (shape,) if isinstance(shape, int) else shape
    row = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    path, histograms = folder / f"{name}.onnx", folder / f"{name}.json"
    path.write_bytes(content)
    edges = np.linspace(-2, 2, 19).tolist()
    inputs = [
        {"name": f"x{at}", "tensor": tensors[0], "column": at, "kind": "numeric", "edges": edges}
        for at in range(min(row.size, 30))
    ]
    outputs = [{"name": "y", "tensor": tensors[1], "column": 1, "kind": "numeric", "edges": edges}]
    histograms.write_text(json.dumps({"inputs": inputs, "outputs": outputs}))
    values = row.astype(np.float64).round(6)
    return Subject(name, path, histograms, values.tolist(), values.ravel().tolist(), row.tobytes(), shape)


def _tabular() -> bytes:
    """Scaler and logistic regression on 30 features, exported by skl2onnx."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = load_breast_cancer(return_X_y=True)
    rows = rows.astype(np.float32)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, labels)
    return to_onnx(fitted, rows[:1], options={"zipmap": False}).SerializeToString()


def _perceptron(sizes: tuple[int, ...]) -> bytes:
    random = np.random.default_rng(0)
    nodes, weights, source = [], [], "X"
    for layer, (wide, narrow) in enumerate(zip(sizes, sizes[1:], strict=False)):
        last = layer == len(sizes) - 2
        matrix = random.normal(0, wide**-0.5, (wide, narrow)).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"W{layer}"))
        target = "Y" if last else f"h{layer}"
        nodes.append(helper.make_node("MatMul", [source, f"W{layer}"], [target]))
        if not last:
            nodes.append(helper.make_node("Relu", [target], [f"r{layer}"]))
            source = f"r{layer}"
    return _model(nodes, weights, ["N", sizes[0]], sizes[-1])


def _convnet() -> bytes:
    random = np.random.default_rng(0)
    nodes, weights, source, depth = [], [], "X", 3
    for layer, width in enumerate((32, 64, 128)):
        kernel = random.normal(0, (depth * 9) ** -0.5, (width, depth, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"K{layer}"))
        nodes.append(
            helper.make_node("Conv", [source, f"K{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1], strides=[1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        nodes.append(
            helper.make_node("MaxPool", [f"r{layer}"], [f"p{layer}"], kernel_shape=[2, 2], strides=[2, 2])
        )
        source, depth = f"p{layer}", width
    weights.append(numpy_helper.from_array(random.normal(size=(depth, 10)).astype(np.float32), "W"))
    nodes += [
        helper.make_node("GlobalAveragePool", [source], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "W"], ["Y"]),
    ]
    return _model(nodes, weights, ["N", 3, 64, 64], 10)


def busy(size: int = 64, repeats: int = 60) -> bytes:
    """A small request that takes about a millisecond and cannot share a run: `X` is [1, 2]."""
    nodes = [
        helper.make_node("ReduceSum", ["X"], ["seed"], keepdims=0),
        helper.make_node("Add", ["W", "seed"], ["m0"]),
    ]
    for index in range(repeats):
        nodes.append(helper.make_node("MatMul", [f"m{index}", "W"], [f"m{index + 1}"]))
    nodes.append(helper.make_node("ReduceMean", [f"m{repeats}"], ["mean"], axes=[0, 1], keepdims=0))
    nodes.append(helper.make_node("Mul", ["X", "mean"], ["Y"]))
    weights = numpy_helper.from_array(np.full((size, size), 1 / size, dtype=np.float32), "W")
    return _model(nodes, [weights], [1, 2], 2)


def _model(nodes: list, weights: list, inputs: list, outputs: int) -> bytes:
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [inputs[0], outputs])],
        weights,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()
