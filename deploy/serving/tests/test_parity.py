"""What the server answers is what ONNX Runtime computes: bit for bit alone, within rounding in batches.

Every model of the test set, in every opset that can express it, behind one server, over JSON and binary tensors.
"""

from __future__ import annotations

import functools
import json

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from . import models
from .support import running

# Kernels add up in another order for other batch sizes.
RELATIVE, ABSOLUTE = 1e-5, 1e-6
OPSETS = (9, 11, 13, 15, 17, 18, 19, 20, 21)


def perceptron(opset):
    random = np.random.default_rng(1)
    return models.model(
        [
            helper.make_node("Gemm", ["X", "W0", "b0"], ["h0"]),
            helper.make_node("Relu", ["h0"], ["r0"]),
            helper.make_node("Gemm", ["r0", "W1", "b1"], ["y"]),
        ],
        [models.tensor("X", models.FLOAT, ["N", 30])],
        [models.tensor("y", models.FLOAT, ["N", 4])],
        {
            "W0": random.normal(size=(30, 64)).astype(np.float32), "b0": random.normal(size=64).astype(np.float32),
            "W1": random.normal(size=(64, 4)).astype(np.float32), "b1": random.normal(size=4).astype(np.float32),
        },
        opset=opset,
    )  # fmt: skip


def convnet(opset):
    random = np.random.default_rng(2)
    return models.model(
        [
            helper.make_node("Conv", ["X", "K"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "W"], ["y"]),
        ],
        [models.tensor("X", models.FLOAT, ["N", 3, 8, 8])],
        [models.tensor("y", models.FLOAT, ["N", 5])],
        {
            "K": random.normal(size=(6, 3, 3, 3)).astype(np.float32),
            "W": random.normal(size=(6, 5)).astype(np.float32),
        },
        opset=opset,
    )


@functools.cache
def trees(zipmap=False):
    from skl2onnx import to_onnx
    from sklearn.datasets import make_classification
    from sklearn.ensemble import GradientBoostingClassifier

    rows, labels = make_classification(200, 30, random_state=0)
    rows = rows.astype(np.float32)
    fitted = GradientBoostingClassifier(n_estimators=20, random_state=0).fit(rows, labels)
    return to_onnx(fitted, rows[:1], options={"zipmap": zipmap}).SerializeToString()


def everything():
    found = {f"linear-{opset}": models.linear(30, opset=opset) for opset in OPSETS}
    found |= {f"perceptron-{opset}": perceptron(opset) for opset in OPSETS}
    found |= {f"convnet-{opset}": convnet(opset) for opset in OPSETS}
    return found | {"classifier": models.classifier(30, 3), "trees": trees(),
                    "maps": trees(zipmap=True), "fixed": models.heavy(16, 3)}  # fmt: skip


NAMES = [f"{kind}-{opset}" for kind in ("linear", "perceptron", "convnet") for opset in OPSETS]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    contents, listed = everything(), []
    for name, content in contents.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(content)
        listed.append({"model": name, "artifact": str(path)})
    (folder / "models.json").write_text(json.dumps({"models": listed}))
    with running(folder, "", models=folder / "models.json") as process:
        yield process, contents


def binary(process, name, rows):
    """All outputs as the server sends them: name to (shape, bytes)."""
    tensor = {"name": "X", "shape": rows.shape, "datatype": "FP32",
              "parameters": {"binary_data_size": rows.nbytes}}  # fmt: skip
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = process.request("POST", f"/v2/models/{name}/infer", head + rows.tobytes(), headers)
    assert answer.status == 200, answer.body
    at = int(answer.headers["inference-header-content-length"])
    found = {}
    for output in json.loads(answer.body[:at])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        found[output["name"]] = (tuple(output["shape"]), answer.body[at : at + size])
        at += size
    return found


def as_tensor(output):
    """Maps of probabilities by class, one per row, as the tensor that they were made of; classes ascend."""
    if not isinstance(output, list):
        return output
    return np.array([[row[name] for name in sorted(row)] for row in output], dtype=np.float32)


@pytest.mark.parametrize("name", [*NAMES, "classifier", "trees", "maps", "fixed"])
def test_answers_equal_the_runtime(served, name):
    process, contents = served
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(contents[name], options, providers=["CPUExecutionProvider"])
    spec = session.get_inputs()[0]
    shape = [1 if isinstance(size, str) else size for size in spec.shape]
    rows = np.random.default_rng(3).normal(size=(6, *shape[1:])).astype(np.float32)
    alone = [[as_tensor(one) for one in session.run(None, {"X": row[None]})] for row in rows]
    for row, expected in zip(rows, alone, strict=True):
        found = binary(process, name, row[None])
        for output, array in zip(session.get_outputs(), expected, strict=True):
            assert found[output.name] == (array.shape, array.tobytes()), "bit for bit"
        answer = process.request(
            "POST", f"/predict/{name}", json.dumps({"features": row.tolist()}).encode()
        ).json["outputs"]
        for output, array in zip(session.get_outputs(), expected, strict=True):
            assert np.array(answer[output.name], array.dtype).tobytes() == array.tobytes(), "bit for bit"
    if name == "fixed":
        return
    found = binary(process, name, rows)
    for position, output in enumerate(session.get_outputs()):
        together = np.concatenate([expected[position] for expected in alone])
        got = np.frombuffer(found[output.name][1], together.dtype).reshape(found[output.name][0])
        np.testing.assert_allclose(got, together, RELATIVE, ABSOLUTE)
