"""An inference request: the JSON head, and tensors in it or behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.serving.datatypes import BY_OIP, Array, from_bfloat16
from deploy.serving.errors import Malformed, Unprocessable
from deploy.serving.json_body import parse_json
from deploy.serving.signature import Signature, TensorSpec
from deploy.serving.tensors import build, check_finite, check_shape, flatten, indexed, json_name

from . import binary

# The path says which model; KServe's client says it again in the body.
_REQUEST = frozenset({"id", "parameters", "inputs", "outputs", "model_name", "model_version"})
_INPUT = frozenset({"name", "shape", "datatype", "parameters", "data"})
_OUTPUT = frozenset({"name", "parameters"})


@dataclass(frozen=True, slots=True)
class InferRequest:
    """Tensors in signature order; `outputs` are (index in the signature, wanted in binary)."""

    id: str | None
    inputs: list[Array]
    rows: int
    outputs: list[tuple[int, bool]]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def parse_infer(
    body: bytes, head_length: int | None, signature: Signature, *, allow_nan: bool = False
) -> InferRequest:
    """Parse a body; `head_length` is the value of Inference-Header-Content-Length, None without it.

    Raises:
        Malformed, Unprocessable: with the path of what is wrong.
    """
    head, tail = body, memoryview(b"")
    if head_length is not None:
        if not 0 <= head_length <= len(body):
            raise Malformed(f"Inference-Header-Content-Length is {head_length}, the body has {len(body)}")
        head, tail = body[:head_length], memoryview(body)[head_length:]
    return read_infer(parse_json(head), tail, signature, allow_nan=allow_nan)


def read_infer(
    document: Mapping[str, Any], tail: memoryview, signature: Signature, *, allow_nan: bool = False
) -> InferRequest:
    """The request that a JSON head (or what is like one) describes; `tail` has its binary tensors.

    Raises:
        Malformed, Unprocessable: with the path of what is wrong.
    """
    _check_fields(document, _REQUEST, "")
    request_id = document.get("id")
    if request_id is not None and type(request_id) is not str:
        raise Unprocessable(f"must be a string, not {json_name(request_id)}", field="id")
    outputs = _outputs(document, signature)
    inputs = _Inputs(signature, tail, allow_nan).parse(document.get("inputs"))
    rows = len(inputs[0]) if inputs[0].ndim else 1
    return InferRequest(request_id, inputs, rows, outputs, document.get("parameters") or {})


class _Inputs:
    """Reads the input list, consuming the binary tail tensor by tensor."""

    def __init__(self, signature: Signature, tail: memoryview, allow_nan: bool) -> None:
        self._specs = signature.inputs
        self._index = {spec.name: position for position, spec in enumerate(signature.inputs)}
        self._tail = tail
        self._allow_nan = allow_nan

    def parse(self, entries: Any) -> list[Array]:
        if type(entries) is not list:
            raise Unprocessable("is missing" if entries is None else "must be a list", field="inputs")
        found: dict[int, Array] = {}
        for number, entry in enumerate(entries):
            position, array = self._tensor(entry, f"inputs[{number}]")
            if position in found:
                raise Unprocessable("is there twice", field=f"inputs[{number}].name")
            found[position] = array
        if len(self._tail):
            raise Malformed(f"{len(self._tail)} bytes behind the last binary tensor belong to no input")
        missing = [spec.name for position, spec in enumerate(self._specs) if position not in found]
        if missing:
            raise Unprocessable(f"the input {missing[0]!r} is missing", field="inputs")
        arrays = [found[position] for position in range(len(self._specs))]
        self._check_rows(arrays)
        return arrays

    def _tensor(self, entry: Any, path: str) -> tuple[int, Array]:
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
        size = _binary_size(entry, path)
        if size is not None:
            return position, self._from_tail(spec, shape, size, path)
        return position, self._from_json(spec, shape, entry, f"{path}.data")

    def _check_datatype(self, entry: Mapping[str, Any], spec: TensorSpec, path: str) -> None:
        datatype = entry.get("datatype")
        if datatype == spec.datatype.oip:
            return
        wanted = f"the model takes {spec.datatype.oip} for {spec.name!r}"
        if datatype is None:
            raise Unprocessable(f"is missing; {wanted}", field=f"{path}.datatype")
        known = type(datatype) is str and datatype in BY_OIP
        raise Unprocessable(wanted if known else f"is not a type; {wanted}", field=f"{path}.datatype")

    def _from_tail(self, spec: TensorSpec, shape: tuple[int, ...], size: int, path: str) -> Array:
        if size > len(self._tail):
            message = f"says {size} bytes, {len(self._tail)} are left in the body"
            raise Unprocessable(message, field=f"{path}.parameters.binary_data_size")
        content, self._tail = self._tail[:size], self._tail[size:]
        flat = binary.decode(content, spec.datatype, math.prod(shape), path)
        if spec.datatype.is_float and not self._allow_nan:
            values = from_bfloat16(flat) if spec.datatype.oip == "BF16" else flat
            check_finite(values, lambda at: indexed(f"{path}.data", at, shape))
        return flat.reshape(shape)

    def _from_json(
        self, spec: TensorSpec, shape: tuple[int, ...], entry: Mapping[str, Any], path: str
    ) -> Array:
        data = entry.get("data")
        if type(data) is not list:
            raise Unprocessable("is missing" if data is None else "must be a list", field=path)
        flat, nested = flatten(data, path)
        if len(flat) != math.prod(shape) or (len(nested) > 1 and nested != shape):
            message = f"has {len(flat)} values in the shape {list(nested)}, its shape says {list(shape)}"
            raise Unprocessable(message, field=path)
        return build(
            flat, shape, spec.datatype, lambda at: indexed(path, at, nested), allow_nan=self._allow_nan
        )

    def _check_rows(self, arrays: list[Array]) -> None:
        """Inputs that share a batch axis must have equally many rows."""
        rows = {len(array) for array, spec in zip(arrays, self._specs, strict=True) if spec.dynamic_batch}
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


def _outputs(document: Mapping[str, Any], signature: Signature) -> list[tuple[int, bool]]:
    """Requested outputs, or all; each in binary or not."""
    default = _flag(document, "binary_data_output", "")
    entries = document.get("outputs")
    if entries is None or entries == []:
        return [(position, default) for position in range(len(signature.outputs))]
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
        if "classification" in (entry.get("parameters") or {}):
            raise Unprocessable("is not supported", field=f"{path}.parameters.classification")
        wanted.append((index[name], _flag(entry, "binary_data", f"{path}.", default)))
    return wanted


def _flag(document: Mapping[str, Any], name: str, prefix: str, default: bool = False) -> bool:
    value = (document.get("parameters") or {}).get(name, default)
    if type(value) is not bool:
        raise Unprocessable("must be true or false", field=f"{prefix}parameters.{name}")
    return value
