"""The plain protocol: `POST /predict {"features": …}`.

`features` is one row (`[1, 2]` or `{"bmi": 1, "age": 2}`) or a batch (a list of those).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from .datatypes import Array, from_bfloat16
from .errors import Unprocessable
from .json_body import parse_json
from .signature import Signature, TensorSpec
from .tensors import build, check_shape, flatten, indexed, json_name, shape_text, surely_finite

FIELDS = frozenset({"features", "id"})


@dataclass(frozen=True, slots=True)
class Prediction:
    """A parsed request: tensors in signature order; `single` asks for one answer, not a list."""

    inputs: list[Array]
    rows: int
    single: bool
    id: str | None


class PredictCodec:
    """Parses and renders `/predict` for one model."""

    def __init__(self, signature: Signature, *, allow_nan: bool, model: str, version: str) -> None:
        self._signature = signature
        self._allow_nan = allow_nan
        self._identity = {"model": model, "model_version": version}
        self._columns = _named_columns(signature)
        self._plain = [_plain_output(spec) for spec in signature.outputs]
        self._names = [spec.name for spec in signature.outputs]
        spec = signature.inputs[0]
        common = len(signature.inputs) == 1 and len(spec.shape) == 2 and spec.shape[0] in (1, -1)
        self._width = spec.shape[1] if common and spec.datatype.oip in ("FP32", "FP64") else -1
        self._dtype, self._accepts = spec.datatype.dtype, spec.datatype.accepts

    def parse(self, body: bytes) -> Prediction:
        """Raise Malformed or Unprocessable with the path of what is wrong."""
        document = parse_json(body)
        if not FIELDS.issuperset(document):
            extra = next(key for key in document if key not in FIELDS)
            raise Unprocessable("is not a field of this request (it has: features, id)", field=extra)
        if "features" not in document:
            raise Unprocessable("is missing", field="features")
        request_id = document.get("id")
        if request_id is not None and type(request_id) is not str:
            raise Unprocessable(f"must be a string, not {json_name(request_id)}", field="id")
        features = document["features"]
        if type(features) is dict:
            inputs = self._named([features], ["features"])
            return Prediction(inputs, 1, True, request_id)
        row = self._plain_row(features)
        if row is not None:
            return Prediction([row], 1, True, request_id)
        if type(features) is list and features and type(features[0]) is dict:
            paths = [f"features[{index}]" for index in range(len(features))]
            return Prediction(self._named(features, paths), len(features), False, request_id)
        inputs, rows, single = self._positional(features)
        return Prediction(inputs, rows, single, request_id)

    def render(self, request: Prediction, outputs: Sequence[Array]) -> bytes:
        """The answer: every output by name, and the first one again as the prediction."""
        single = request.single
        named = {
            name: plain(array, single)
            for name, plain, array in zip(self._names, self._plain, outputs, strict=True)
        }
        answer: dict[str, Any] = {
            "prediction" if single else "predictions": next(iter(named.values()), None),
            "outputs": named,
            **self._identity,
        }
        if request.id is not None:
            answer["id"] = request.id
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    def _plain_row(self, features: Any) -> Array | None:
        """The commonest request in the fewest steps: one good row of floats; None for all else."""
        if type(features) is not list or len(features) != self._width:
            return None
        if not self._accepts.issuperset(map(type, features)):
            return None
        array = np.array([features], dtype=self._dtype)
        return array if surely_finite(array[0]) else None

    def _positional(self, features: Any) -> tuple[list[Array], int, bool]:
        specs = self._signature.inputs
        if len(specs) > 1:
            return self._positional_columns(features)
        spec = specs[0]
        depth = max(len(spec.shape) - 1, 0)
        if type(features) is list:
            flat, shape = flatten(features, "features")
            single = len(shape) == depth
        else:
            flat, shape, single = [features], (), depth == 0
        if not flat:
            raise Unprocessable("is empty", field="features")
        full = (1, *shape) if single and spec.shape else shape
        if single or len(shape) != depth + 1:
            self._check_row(shape, spec)
        else:
            check_shape(full, spec, "features")
        array = build(
            flat, full, spec.datatype, lambda at: indexed("features", at, shape), allow_nan=self._allow_nan
        )
        return [array], full[0] if full else 1, single

    def _check_row(self, shape: tuple[int, ...], spec: TensorSpec) -> None:
        row = spec.row_shape
        fits = len(shape) == len(row) and all(
            wanted in (size, -1) for size, wanted in zip(shape, row, strict=True)
        )
        if not fits or (spec.shape and spec.shape[0] not in (1, -1)):
            has = f"has {shape[0]} values" if len(shape) == 1 else f"has the shape {shape_text(shape)}"
            takes = f"a batch has the shape {shape_text(spec.shape)}"
            raise Unprocessable(f"{has}; one row has the shape {shape_text(row)}, {takes}", field="features")

    def _positional_columns(self, features: Any) -> tuple[list[Array], int, bool]:
        """Values in input order, for a model with one input per column."""
        names = list(self._columns)
        if len(names) != len(self._signature.inputs) or type(features) is not list or not features:
            raise Unprocessable(
                f"must be an object with the inputs {_listed(self._input_names())}", field="features"
            )
        single = type(features[0]) is not list
        rows = [features] if single else features
        for index, row in enumerate(rows):
            path = "features" if single else f"features[{index}]"
            if type(row) is not list:
                raise Unprocessable("must be a list, like its neighbours", field=path)
            if len(row) != len(names):
                raise Unprocessable(f"has {len(row)} values, the model takes {len(names)}", field=path)
        arrays = []
        for position, spec in enumerate(self._signature.inputs):

            def locate(at: int, position: int = position) -> str:
                return f"features[{position}]" if single else f"features[{at}][{position}]"

            values = [row[position] for row in rows]
            shape = (len(rows), *(1 for _ in spec.row_shape))
            arrays.append(build(values, shape, spec.datatype, locate, allow_nan=self._allow_nan))
        return arrays, len(rows), single

    def _input_names(self) -> list[str]:
        return list(self._columns) or [spec.name for spec in self._signature.inputs]

    def _named(self, rows: list[Any], paths: list[str]) -> list[Array]:
        by_tensor = not self._columns or rows[0].keys() == {spec.name for spec in self._signature.inputs}
        names = [spec.name for spec in self._signature.inputs] if by_tensor else list(self._columns)
        for row, path in zip(rows, paths, strict=True):
            _check_names(row, names, path)
        if by_tensor:
            return [self._whole(spec, rows, paths) for spec in self._signature.inputs]
        return [self._from_columns(index, rows, paths) for index in range(len(self._signature.inputs))]

    def _from_columns(self, index: int, rows: list[Any], paths: list[str]) -> Array:
        """One tensor put together from named columns."""
        spec = self._signature.inputs[index]
        names = [name for name, (tensor, _) in self._columns.items() if tensor == index]
        values = [row[name] for row in rows for name in names]
        width = len(names)
        shape = (len(rows), *((width,) if spec.row_shape else ()))
        check_shape(shape, spec, paths[0].partition("[")[0])
        return build(
            values,
            shape,
            spec.datatype,
            lambda at: f"{paths[at // width]}.{names[at % width]}",
            allow_nan=self._allow_nan,
        )

    def _whole(self, spec: TensorSpec, rows: list[Any], paths: list[str]) -> Array:
        """One tensor from each row's value under the input's own name."""
        values: list[Any] = []
        row_shape: tuple[int, ...] | None = None
        for row, path in zip(rows, paths, strict=True):
            flat, shape = self._one(spec, row[spec.name], f"{path}.{spec.name}")
            if row_shape is not None and shape != row_shape:
                raise Unprocessable(
                    f"has the shape {shape_text(shape)}, the first row has {shape_text(row_shape)}",
                    field=f"{path}.{spec.name}",
                )
            row_shape = shape
            values.extend(flat)
        row_shape = row_shape or ()
        if not spec.shape and len(rows) > 1:
            raise Unprocessable("is one value for all rows, so only one row can be sent",
                                field=f"{paths[1]}.{spec.name}")  # fmt: skip
        full = (len(rows), *row_shape) if spec.shape else row_shape
        check_shape(full, spec, paths[0].partition("[")[0] if len(rows) > 1 else f"{paths[0]}.{spec.name}")
        size = len(values) // len(rows)

        def locate(at: int) -> str:
            return indexed(f"{paths[at // size]}.{spec.name}", at % size, row_shape or ())

        return build(values, full, spec.datatype, locate, allow_nan=self._allow_nan)

    def _one(self, spec: TensorSpec, value: Any, path: str) -> tuple[list[Any], tuple[int, ...]]:
        if type(value) is list:
            return flatten(value, path)
        # A plain value stands for the only element of a [N, 1] column.
        return [value], (1,) * len(spec.row_shape)


def _named_columns(signature: Signature) -> Mapping[str, tuple[int, int]]:
    """Feature names in tensor and column order; inputs of width one are columns under their own name."""
    if signature.features:
        return dict(sorted(signature.features.items(), key=lambda item: item[1]))
    if all(len(spec.shape) == 1 or spec.shape[1:] == (1,) for spec in signature.inputs):
        return {spec.name: (index, 0) for index, spec in enumerate(signature.inputs)}
    return {}


def _check_names(row: Any, names: list[str], path: str) -> None:
    if type(row) is not dict:
        raise Unprocessable(f"must be an object, not {json_name(row)}", field=path)
    if len(row) == len(names) and all(name in row for name in names):
        return
    missing = [name for name in names if name not in row]
    if missing:
        raise Unprocessable("is missing", field=f"{path}.{missing[0]}")
    extra = next(name for name in row if name not in names)
    raise Unprocessable(f"is not an input of this model (it has: {_listed(names)})", field=f"{path}.{extra}")


def _listed(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _plain_output(spec: TensorSpec) -> Callable[[Array, bool], Any]:
    """How an output becomes JSON: a column of width one as plain values, one row without its list."""
    from_bits, is_text = spec.datatype.oip == "BF16", spec.datatype.oip == "BYTES"
    is_float = spec.datatype.is_float

    def plain(array: Array, single: bool) -> Any:
        if from_bits:
            array = from_bfloat16(array)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array.reshape(-1)
        if array.ndim == 0:
            return array.item() if is_text or not is_float else array[()]
        values = array.tolist() if is_text else array
        if not single or len(array) != 1:
            return values
        value = values[0]
        # float32 stays numpy's: the shortest text that reads back as the same float32.
        return value if is_float or is_text or array.ndim > 1 else value.item()

    return plain
