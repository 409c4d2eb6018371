"""From a fitted scikit-learn pipeline to an ONNX graph with one `features` input.

skl2onnx writes the pipeline; the pieces around it (what happens before and after the pipeline) are
small graphs in ONNX's own text form, joined to it by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper, parser
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

OPSET = 18
IR_VERSION = 9
INPUT = "features"
HEADER = f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>'

Constants = Mapping[str, NDArray[Any]]

# Names a classifier's outputs: P(positive) first, because the first output is the one that gates compare.
POSITIVE_CLASS = """
named (float[N, 2] class_probabilities) => (float[N, 1] malignant_probability, int64[N] malignant)
{
    malignant_probability = Gather <axis: int = 1> (class_probabilities, positive_class)
    malignant = ArgMax <axis: int = 1, keepdims: int = 0> (class_probabilities)
}
"""


def graph(text: str, constants: Constants, sizes: Mapping[str, int] | None = None) -> onnx.ModelProto:
    """Parse one graph in ONNX's text form.

    `constants` become its initializers; `sizes` are the dimensions that are known by now.
    """
    model = parser.parse_model(HEADER + text)
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if sizes and dimension.dim_param in sizes:
                dimension.dim_value = sizes[dimension.dim_param]
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return model


def pipeline(fitted: Any, columns: int, outputs: Mapping[str, str]) -> onnx.ModelProto:
    """Export a fitted estimator; `outputs` maps its output names to the ones to keep, in order."""
    zipmap_off: Any = {id(_last(fitted)): {"zipmap": False}} if hasattr(fitted, "predict_proba") else None
    model = to_onnx(
        fitted,
        initial_types=[(INPUT, FloatTensorType([None, columns]))],
        options=zipmap_off,
        target_opset=OPSET,
    )
    model.ir_version = IR_VERSION
    return _with_outputs(model, outputs)


def classifier(fitted: Any, columns: int) -> onnx.ModelProto:
    """Export a binary classifier with outputs `malignant_probability` [N, 1] and `malignant` [N]."""
    core = pipeline(fitted, columns, {"probabilities": "core_probabilities"})
    return chain(core, named_classes(), {"core_probabilities": "class_probabilities"})


def named_classes() -> onnx.ModelProto:
    """Class probabilities [N, 2] -> the two outputs that callers get."""
    return graph(POSITIVE_CLASS, {"positive_class": np.array([1])})


def chain(first: onnx.ModelProto, second: onnx.ModelProto, wires: Mapping[str, str]) -> onnx.ModelProto:
    """Feed outputs of `first` into inputs of `second`, by name; no other name may be in both."""
    return compose.merge_models(first, second, io_map=list(wires.items()))


def finished(model: onnx.ModelProto, features: Sequence[str]) -> bytes:
    """Name the input's columns, check the whole graph and serialize it, to the same bytes every time."""
    model.producer_name = "slipway-demo"
    helper.set_model_props(model, {"feature_names": json.dumps(list(features))})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def renamed_input(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The same graph with another name for its only input."""
    return _rename(model, {model.graph.input[0].name: name})


def _with_outputs(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """Keep the outputs in `names` only, in that order, under their new names."""
    by_name = {output.name: output for output in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(by_name[old] for old in names)
    return _rename(model, names)


def _rename(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.output[:] = [names.get(name, name) for name in node.output]
        node.input[:] = [names.get(name, name) for name in node.input]
    return model


def _last(fitted: Any) -> Any:
    return fitted.steps[-1][1] if hasattr(fitted, "steps") else fitted
