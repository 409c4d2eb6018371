"""What a model takes and gives: names, element types and shapes, read from the loaded ONNX graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .datatypes import BY_ONNX, DataType
from .errors import LoadError

Dimension = int | str | None


class NodeArg(Protocol):
    """The part of onnxruntime.NodeArg that is read here."""

    name: str
    type: str
    shape: Sequence[Dimension]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output. A dimension that may vary is -1; `shape` includes the batch axis."""

    name: str
    datatype: DataType
    shape: tuple[int, ...]
    batch_symbol: str | None = None

    @property
    def dynamic_batch(self) -> bool:
        return bool(self.shape) and self.shape[0] == -1

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row: everything behind the batch axis."""
        return self.shape[1:]

    @property
    def dynamic_row(self) -> bool:
        return -1 in self.row_shape


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs in graph order. `features` maps a feature's name to (input index, column)."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    features: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def batchable(self) -> bool:
        """Whether rows of different requests may share a run: one free leading axis for all tensors."""
        if not self.inputs or not all(spec.dynamic_batch for spec in self.inputs):
            return False
        # An axis with a name and one without are not known to be the same.
        shared = len({spec.batch_symbol for spec in self.inputs}) == 1
        return shared and all(not spec.shape or spec.dynamic_batch for spec in self.outputs)

    def feature_names(self, index: int) -> list[str | None]:
        """Names of the columns of input `index`, None where a column has none; [] if none is named."""
        named = {column: name for name, (tensor, column) in self.features.items() if tensor == index}
        return [named.get(column) for column in range(max(named) + 1)] if named else []


def tensor_spec(arg: NodeArg) -> TensorSpec:
    """Read one graph argument.

    Raises:
        LoadError: its type is not a tensor this server can carry (sequences and maps are not).
    """
    datatype = BY_ONNX.get(arg.type)
    if datatype is None:
        hint = " Export the classifier with zipmap=False." if arg.type.startswith("seq(map(") else ""
        raise LoadError(f"{arg.name!r} has the type {arg.type}, which cannot be served.{hint}")
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in arg.shape)
    symbol = arg.shape[0] if arg.shape and isinstance(arg.shape[0], str) else None
    return TensorSpec(arg.name, datatype, shape, symbol)


def read_signature(
    inputs: Sequence[NodeArg],
    outputs: Sequence[NodeArg],
    metadata: Mapping[str, str],
    histograms: Mapping[str, Any] | None,
) -> Signature:
    """Build the signature of a session, with feature names where the model or its baseline has them.

    Outputs that are no tensors are left out, if there are others.

    Raises:
        LoadError: as `tensor_spec`, for an input, or for the first output if there is no tensor among them.
    """
    specs = tuple(tensor_spec(arg) for arg in inputs)
    told = [arg for arg in outputs if arg.type in BY_ONNX] or outputs
    return Signature(
        inputs=specs,
        outputs=tuple(tensor_spec(arg) for arg in told),
        features=_names_from_metadata(specs, metadata) or _names_from_histograms(specs, histograms),
    )


def _names_from_metadata(
    specs: tuple[TensorSpec, ...], metadata: Mapping[str, str]
) -> dict[str, tuple[int, int]]:
    """`feature_names` in the ONNX metadata: a JSON list, one name per column of the only input."""
    text = metadata.get("feature_names")
    if text is None or len(specs) != 1 or len(specs[0].shape) != 2:
        return {}
    try:
        names = json.loads(text)
    except ValueError:
        return {}
    width = specs[0].shape[1]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return {}
    if len(set(names)) != len(names) or width not in (-1, len(names)):
        return {}
    return {name: (0, column) for column, name in enumerate(names)}


def _names_from_histograms(
    specs: tuple[TensorSpec, ...], histograms: Mapping[str, Any] | None
) -> dict[str, tuple[int, int]]:
    """Names of the baseline's inputs, if they name every column of every input; else none."""
    index = {spec.name: position for position, spec in enumerate(specs)}
    features: dict[str, tuple[int, int]] = {}
    for item in (histograms or {}).get("inputs", ()):
        if item["tensor"] in index:
            features[item["name"]] = (index[item["tensor"]], item.get("column") or 0)
    wanted = {(position, column) for position, spec in enumerate(specs) for column in range(_width(spec))}
    tables = all(_width(spec) for spec in specs)
    return features if tables and set(features.values()) == wanted else {}


def _width(spec: TensorSpec) -> int:
    """Columns of a row of a tabular input ([N] and [N,1] have one); 0 for anything else."""
    if len(spec.shape) == 1:
        return 1
    return max(spec.shape[1], 0) if len(spec.shape) == 2 else 0
