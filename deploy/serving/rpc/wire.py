"""Inference requests and answers as messages. Requests become the same document that JSON brings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy.serving.config import Options
from deploy.serving.datatypes import Array
from deploy.serving.errors import ServingError, Unprocessable
from deploy.serving.messages import Request, Response
from deploy.serving.oip import binary
from deploy.serving.oip.request import InferReader, InferRequest
from deploy.serving.signature import Signature

from .messages import message

ModelInferRequest = message("ModelInferRequest")
ModelInferResponse = message("ModelInferResponse")

CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents",
    "UINT32": "uint_contents", "UINT64": "uint64_contents", "FP32": "fp32_contents",
    "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""The field of InferTensorContents that holds a type's elements; 16-bit floats have none."""

_DATA = re.compile(r"^(inputs\[\d+\])\.data\b")


@dataclass(slots=True)
class RpcRequest(Request):
    """A request whose `body` is the serialized `message`."""

    message: Any = None


class RpcWire:
    """ModelInfer."""

    def __init__(self, options: Options, signature: Signature) -> None:
        self._options = options
        self._signature = signature
        self._reader = InferReader(signature, allow_nan=options.allow_nan)

    def parse(self, request: Request) -> InferRequest:
        assert isinstance(request, RpcRequest)
        document, tail = as_document(request.message)
        try:
            return self._reader.read(document, memoryview(tail))
        except ServingError as error:
            # What is `data` in JSON is `contents` here.
            error.field = error.field and _DATA.sub(r"\1.contents", error.field)
            raise

    def respond(self, parsed: InferRequest, outputs: Sequence[Array]) -> Response:
        answer = ModelInferResponse(
            model_name=self._options.model, model_version=self._options.model_version, id=parsed.id or ""
        )
        for position, _ in parsed.outputs:
            spec, array = self._signature.outputs[position], outputs[position]
            answer.outputs.add(name=spec.name, datatype=spec.datatype.oip, shape=array.shape)
            answer.raw_output_contents.append(binary.encode(array, spec.datatype))
        return Response(200, answer.SerializeToString())


def as_document(request: Any) -> tuple[dict[str, Any], bytes]:
    """What a ModelInferRequest says, as the JSON head of an HTTP request with its binary tail.

    Raises:
        Unprocessable: raw and typed contents are mixed, or contents stand in the field of another type.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise Unprocessable(
            f"has {len(raw)} entries for {len(request.inputs)} inputs", field="raw_input_contents"
        )
    document: dict[str, Any] = {
        "inputs": [
            _input(item, raw[index] if raw else None, f"inputs[{index}]")
            for index, item in enumerate(request.inputs)
        ],
        "outputs": [
            {"name": item.name, "parameters": _parameters(item.parameters)} for item in request.outputs
        ],
        "parameters": _parameters(request.parameters),
    }
    if request.id:
        document["id"] = request.id
    return document, raw[0] if len(raw) == 1 else b"".join(raw)


def _input(item: Any, raw: bytes | None, path: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": item.name, "datatype": item.datatype, "shape": list(item.shape)}
    entry["parameters"] = _parameters(item.parameters)
    if raw is not None:
        if item.HasField("contents"):
            raise Unprocessable("must not stand beside raw_input_contents", field=f"{path}.contents")
        # A parameter of this name means nothing here; the length is that of the raw contents.
        entry["parameters"]["binary_data_size"] = len(raw)
        return entry
    entry["parameters"].pop("binary_data_size", None)
    entry["data"] = _contents(item, f"{path}.contents")
    return entry


def _contents(item: Any, path: str) -> list[Any]:
    filled = [field.name for field, _ in item.contents.ListFields()]
    wanted = CONTENTS.get(item.datatype)
    if wanted is None:
        if item.datatype in ("FP16", "BF16"):
            raise Unprocessable(f"{item.datatype} has no field here; send raw_input_contents", field=path)
        return []  # no type at all: the check of the datatype says so
    if filled and filled != [wanted]:
        other = next(name for name in filled if name != wanted)
        raise Unprocessable(f"{item.datatype} belongs into {wanted}", field=f"{path}.{other}")
    values = list(getattr(item.contents, wanted))
    if item.datatype == "BYTES":
        return [_text(value, f"{path}.{wanted}[{index}]") for index, value in enumerate(values)]
    return values


def _text(value: bytes, path: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unprocessable("is not UTF-8", field=path) from None


def _parameters(parameters: Any) -> dict[str, Any]:
    """Parameters with the value they have; one that has none is left out."""
    found = {}
    for name, value in parameters.items():
        kind = value.WhichOneof("parameter_choice")
        if kind is not None:
            found[name] = getattr(value, kind)
    return found
