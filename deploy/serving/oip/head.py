"""The JSON head of an inference request, checked against the model's signature: which tensor lies where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.serving.datatypes import BY_OIP, Array, from_bfloat16
from deploy.serving.errors import Unprocessable
from deploy.serving.json_body import parse_json
from deploy.serving.signature import Signature, TensorSpec
from deploy.serving.tensors import (
    build,
    check_finite,
    check_shape,
    flatten,
    indexed,
    json_name,
    surely_finite,
)

from . import binary
from .response import Wanted

# The path says which model; KServe's client says it again in the body.
_REQUEST = frozenset({"id", "parameters", "inputs", "outputs", "model_name", "model_version"})
_INPUT = frozenset({"name", "shape", "datatype", "parameters", "data"})
_OUTPUT = frozenset({"name", "parameters"})

MOST_ELEMENTS = 2**31 - 1
"""Of one tensor; an empty one, too, must have sizes that numpy can multiply."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input as the head describes it: `size` bytes in the tail, or (None) the values in `data`."""

    position: int
    spec: TensorSpec
    shape: tuple[int, ...]
    count: int
    path: str
    size: int | None
    data: Any

    def from_bytes(self, tail: memoryview, allow_nan: bool) -> Array:
        """The tensor that `tail` begins with."""
        assert self.size is not None
        if self.size > len(tail):
            message = f"says {self.size} bytes, {len(tail)} are left in the body"
            raise Unprocessable(message, field=f"{self.path}.parameters.binary_data_size")
        datatype = self.spec.datatype
        flat = binary.decode(tail[: self.size], datatype, self.count, self.path)
        if datatype.is_float and not allow_nan:
            values = from_bfloat16(flat) if datatype.oip == "BF16" else flat
            if not surely_finite(values):
                check_finite(values, lambda at: indexed(f"{self.path}.data", at, self.shape))
        return flat.reshape(self.shape)

    def from_json(self, allow_nan: bool) -> Array:
        """The tensor of the values in the head."""
        path = f"{self.path}.data"
        if type(self.data) is not list:
            raise Unprocessable("is missing" if self.data is None else "must be a list", field=path)
        flat, nested = flatten(self.data, path)
        if len(flat) != self.count or (len(nested) > 1 and nested != self.shape):
            message = f"has {len(flat)} values in the shape {list(nested)}, its shape says {list(self.shape)}"
            raise Unprocessable(message, field=path)
        return build(
            flat, self.shape, self.spec.datatype, lambda at: indexed(path, at, nested), allow_nan=allow_nan
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """What a head says, checked against the signature; `tensors` in the order of the request."""

    id: str | None
    tensors: tuple[Tensor, ...]
    rows: int
    outputs: Wanted
    parameters: Mapping[str, Any]


class Head:
    """Checks heads against one signature."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._specs = signature.inputs
        self._index = {spec.name: position for position, spec in enumerate(signature.inputs)}
        free = (position for position, spec in enumerate(signature.inputs) if spec.dynamic_batch)
        self._counted = next(free, 0)

    def parse(self, text: bytes) -> Layout:
        """What a head in JSON says. Raises Malformed or Unprocessable with the path of what is wrong."""
        return self.layout(parse_json(text))

    def layout(self, document: Mapping[str, Any]) -> Layout:
        """Raise Unprocessable with the path of what is wrong."""
        _check_fields(document, _REQUEST, "")
        request_id = document.get("id")
        if request_id is not None and type(request_id) is not str:
            raise Unprocessable(f"must be a string, not {json_name(request_id)}", field="id")
        outputs = _outputs(document, self._signature)
        tensors = self._tensors(document.get("inputs"))
        shape = next(tensor.shape for tensor in tensors if tensor.position == self._counted)
        rows = shape[0] if shape else 1
        return Layout(request_id, tensors, rows, outputs, document.get("parameters") or {})

    def _tensors(self, entries: Any) -> tuple[Tensor, ...]:
        if type(entries) is not list:
            raise Unprocessable("is missing" if entries is None else "must be a list", field="inputs")
        found: dict[int, Tensor] = {}
        for number, entry in enumerate(entries):
            tensor = self._tensor(entry, f"inputs[{number}]")
            if tensor.position in found:
                raise Unprocessable("is there twice", field=f"inputs[{number}].name")
            found[tensor.position] = tensor
        missing = [spec.name for position, spec in enumerate(self._specs) if position not in found]
        if missing:
            raise Unprocessable(f"the input {missing[0]!r} is missing", field="inputs")
        self._check_rows(found)
        return tuple(found.values())

    def _tensor(self, entry: Any, path: str) -> Tensor:
        if type(entry) is not dict:
            raise Unprocessable(f"must be an object, not {json_name(entry)}", field=path)
        _check_fields(entry, _INPUT, f"{path}.")
        name = entry.get("name")
        position = self._index.get(name) if type(name) is str else None
        if position is None:
            known = ", ".join(self._index)
            raise Unprocessable(f"must be one of the model's inputs: {known}", field=f"{path}.name")
        spec = self._specs[position]
        self._check_datatype(entry, spec, path)
        shape = _shape(entry.get("shape"), f"{path}.shape")
        check_shape(shape, spec, f"{path}.shape")
        if shape and shape[0] == 0:
            raise Unprocessable("is empty", field=f"{path}.shape")
        if math.prod(size or 1 for size in shape) > MOST_ELEMENTS:
            message = f"is larger than the {MOST_ELEMENTS} elements of one tensor"
            raise Unprocessable(message, field=f"{path}.shape")
        size = _binary_size(entry, path)
        return Tensor(position, spec, shape, math.prod(shape), path, size, entry.get("data"))

    def _check_datatype(self, entry: Mapping[str, Any], spec: TensorSpec, path: str) -> None:
        datatype = entry.get("datatype")
        if datatype == spec.datatype.oip:
            return
        wanted = f"the model takes {spec.datatype.oip} for {spec.name!r}"
        if datatype is None:
            raise Unprocessable(f"is missing; {wanted}", field=f"{path}.datatype")
        known = type(datatype) is str and datatype in BY_OIP
        raise Unprocessable(wanted if known else f"is not a type; {wanted}", field=f"{path}.datatype")

    def _check_rows(self, tensors: Mapping[int, Tensor]) -> None:
        """Inputs that share a batch axis must have equally many rows."""
        rows = {tensor.shape[0] for tensor in tensors.values() if tensor.spec.dynamic_batch}
        symbols = {spec.batch_symbol for spec in self._specs}
        if len(rows) > 1 and len(symbols) == 1:
            raise Unprocessable(f"have different numbers of rows: {sorted(rows)}", field="inputs")


def _check_fields(document: Mapping[str, Any], known: frozenset[str], prefix: str) -> None:
    if not known.issuperset(document):
        extra = next(key for key in document if key not in known)
        raise Unprocessable(f"is not a field here (there are: {', '.join(sorted(known))})",
                            field=f"{prefix}{extra}")  # fmt: skip
    parameters = document.get("parameters")
    if parameters is not None and type(parameters) is not dict:
        raise Unprocessable("must be an object", field=f"{prefix}parameters")


def _shape(value: Any, path: str) -> tuple[int, ...]:
    if type(value) is not list:
        raise Unprocessable("is missing" if value is None else "must be a list of sizes", field=path)
    for index, size in enumerate(value):
        if type(size) is not int or size < 0:
            raise Unprocessable("must be an integer from 0", field=f"{path}[{index}]")
    return tuple(value)


def _binary_size(entry: Mapping[str, Any], path: str) -> int | None:
    size = (entry.get("parameters") or {}).get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise Unprocessable("must be a number of bytes", field=f"{path}.parameters.binary_data_size")
    if "data" in entry:
        raise Unprocessable("is not allowed beside binary_data_size", field=f"{path}.data")
    return size


def _outputs(document: Mapping[str, Any], signature: Signature) -> Wanted:
    """Requested outputs, or all; each in binary or not."""
    default = _flag(document, "binary_data_output", "")
    entries = document.get("outputs")
    if entries is None or entries == []:
        return tuple((position, default) for position in range(len(signature.outputs)))
    if type(entries) is not list:
        raise Unprocessable("must be a list", field="outputs")
    index = {spec.name: position for position, spec in enumerate(signature.outputs)}
    wanted: list[tuple[int, bool]] = []
    for number, entry in enumerate(entries):
        path = f"outputs[{number}]"
        if type(entry) is not dict:
            raise Unprocessable(f"must be an object, not {json_name(entry)}", field=path)
        _check_fields(entry, _OUTPUT, f"{path}.")
        name = entry.get("name")
        if type(name) is not str or name not in index:
            raise Unprocessable(f"must be one of the model's outputs: {', '.join(index)}",
                                field=f"{path}.name")  # fmt: skip
        if any(index[name] == position for position, _ in wanted):
            raise Unprocessable("is there twice", field=f"{path}.name")
        if "classification" in (entry.get("parameters") or {}):
            raise Unprocessable("is not supported", field=f"{path}.parameters.classification")
        wanted.append((index[name], _flag(entry, "binary_data", f"{path}.", default)))
    return tuple(wanted)


def _flag(document: Mapping[str, Any], name: str, prefix: str, default: bool = False) -> bool:
    value = (document.get("parameters") or {}).get(name, default)
    if type(value) is not bool:
        raise Unprocessable("must be true or false", field=f"{prefix}parameters.{name}")
    return value
