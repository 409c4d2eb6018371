"""The HTTP interface as an OpenAPI 3.1 document, with the feature names and shapes of the model it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import admin
from .datatypes import DataType
from .signature import Signature, TensorSpec

Schema = dict[str, Any]

_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "field": {"type": "string", "description": "Path of the value that is to blame."},
    },
}
_REFUSALS = {
    "400": "Not JSON, or lengths that disagree",
    "401": "No valid API key",
    "404": "The model was unloaded",
    "413": "Too many bytes or rows",
    "415": "Unknown Content-Encoding",
    "422": "Does not fit the model's signature",
    "429": "More requests than the key's rate",
    "500": "The model failed on this input",
    "503": "The queue is full, or the model is not ready",
    "504": "The deadline passed",
}
_ADMIN_REFUSALS = {
    "401": "No valid API key",
    "403": "Not switched on, or not an admin's key",
    "404": "No such model",
    "409": "The model cannot be loaded",
    "429": "More requests than the key's rate",
}


Described = tuple[str, str, Signature]
"""A served model: its name, its version and what it takes and gives."""


def document(models: Sequence[Described], *, plain: bool = True, keys: bool = False) -> Schema:
    """The whole document for the served models; with `plain`, the first one answers the path without a name.

    With `keys`, predictions and the repository need an API key.
    """
    name, version, signature = models[0]
    paths: dict[str, Schema] = {
        "/predict": _post("Predict one row or a batch", _predict_schema(signature)),
        "/health": _READY,
        "/metrics": _get("Prometheus metrics", {"200": "Text format 0.0.4"}),
        "/openapi.json": _get("This document", {"200": "OpenAPI 3.1"}),
        "/v2": _get("Server metadata", {"200": "Name, version, extensions"}),
        "/v2/health/live": _get("Liveness", {"200": "The process answers"}),
        "/v2/health/ready": _READY,
    }
    for path in admin.PATHS:
        answers = _refusals(_ADMIN_REFUSALS) | {"200": {"description": "Done, or what there is"}}
        paths[path] = {"post": {"summary": "Model repository (Triton's), for admins", "responses": answers}}
        if "{model}" in path:
            paths[path]["parameters"] = [_MODEL]
    for each in models:
        paths |= _model_paths(*each)
    if not plain:
        del paths["/predict"]
    if keys:
        for operation in (path["post"] for path in paths.values() if "post" in path):
            operation["security"] = [{"bearer": []}, {"key": []}]
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}, **({"securitySchemes": _KEYS} if keys else {})},
    }


def _model_paths(model: str, version: str, signature: Signature) -> dict[str, Schema]:
    base = f"/v2/models/{model}"
    paths = {f"/predict/{model}": _post("Predict one row or a batch", _predict_schema(signature))}
    for path in (base, f"{base}/versions/{version}"):
        paths[path] = _get("Model metadata", {"200": "Inputs and outputs", "503": "Not loaded yet"})
        paths[f"{path}/ready"] = _READY
        paths[f"{path}/config"] = _get("Model configuration", {"200": "As Triton writes it"})
        infer = paths[f"{path}/infer"] = _post("Infer (Open Inference Protocol V2)", _infer_schema(signature))
        infer["post"]["requestBody"]["content"]["application/octet-stream"] = _BINARY
        infer["post"]["parameters"] = [_HEAD_LENGTH]
    return paths


def _get(summary: str, answers: dict[str, str]) -> Schema:
    responses = {code: {"description": text} for code, text in answers.items()}
    return {"get": {"summary": summary, "responses": responses}}


_READY = _get("Readiness", {"200": "Ready", "503": "Loading or draining"})
_KEYS: Schema = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_BINARY: Schema = {
    "schema": {"description": "The JSON, then the tensors that have binary_data_size, one behind the other."}
}
_HEAD_LENGTH: Schema = {
    "name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer"},
    "description": "Bytes of JSON before the binary tensors.",
}  # fmt: skip
_MODEL: Schema = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}


def _post(summary: str, schema: Schema) -> Schema:
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"200": {"description": "The answer"}, **_refusals(_REFUSALS)},
        }
    }


def _refusals(texts: dict[str, str]) -> Schema:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {code: {"description": text, "content": error} for code, text in texts.items()}


def _predict_schema(signature: Signature) -> Schema:
    named = _named_row(signature)
    rows = [named] if len(signature.inputs) > 1 else [_nested(signature.inputs[0]), named]
    features = [*rows, *({"type": "array", "items": row, "minItems": 1} for row in rows)]
    return {
        "type": "object",
        "required": ["features"],
        "additionalProperties": False,
        "properties": {"features": {"oneOf": features}, "id": {"type": "string"}},
    }


def _named_row(signature: Signature) -> Schema:
    """An object with a value per named feature, or per input where features have no names."""
    if signature.features:
        inputs = signature.inputs
        properties = {name: _value(inputs[at].datatype) for name, (at, _) in signature.features.items()}
    else:
        properties = {spec.name: _nested(spec) for spec in signature.inputs}
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def _nested(spec: TensorSpec) -> Schema:
    """One row of a tensor as nested lists of fixed or free length."""
    schema = _value(spec.datatype)
    for size in reversed(spec.row_shape):
        schema = {"type": "array", "items": schema}
        if size >= 0:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _value(datatype: DataType) -> Schema:
    if datatype.oip == "BYTES":
        return {"type": "string"}
    if datatype.oip == "BOOL":
        return {"type": "boolean"}
    return {"type": "number" if datatype.is_float else "integer"}


def _infer_schema(signature: Signature) -> Schema:
    tensor: Schema = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"enum": [spec.name for spec in signature.inputs]},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"enum": sorted({spec.datatype.oip for spec in signature.inputs})},
            "parameters": {"type": "object"},
            "data": {"type": "array"},
        },
    }
    output: Schema = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"enum": [spec.name for spec in signature.outputs]},
            "parameters": {"type": "object"},
        },
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": tensor},
            "outputs": {"type": "array", "items": output},
        },
    }
