"""An ONNX file as a document: is it sound, does the runtime know its parts, what is in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import defs, external_data_helper, helper

from registry.errors import Invalid
from registry.inspect.sniff import ONNX, Kind

_METADATA_LIMIT = 50
_LARGEST = (2 << 30) - 1


def load_model(path: Path, kind: Kind) -> onnx.ModelProto:
    """The parsed model without external data; `Invalid` for a damaged file and for what is no ONNX at all."""
    if path.stat().st_size > _LARGEST:
        raise Invalid(
            "The file is larger than 2 GiB, which no protobuf can be.",
            field="artifact",
            hint="Save its weights apart, onnx.save(…, save_as_external_data=True); register the folder.",
        )
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise _unreadable(kind) from error
    if not model.ir_version or not model.HasField("graph"):
        raise _unreadable(kind)
    return model


def check_model(model: onnx.ModelProto, folder: Path | None = None) -> None:
    """`Invalid` unless the installed ONNX knows the model's versions and its checker finds no fault.

    `folder` is where tensors may keep their data, each inside a file of it; None: nowhere.
    """
    _check_versions(model)
    check_external_data(model, folder)
    try:
        onnx.checker.check_model(_without_external_data(model) if folder else model)
    except onnx.checker.ValidationError as error:
        raise Invalid(
            f"The ONNX checker refuses the model: {first_line(error)}",
            field="artifact",
            hint="Export it again; the file may be damaged.",
        ) from error


def describe(model: onnx.ModelProto) -> dict[str, Any]:
    """Facts about the graph: versions, producer, operators with their counts, number of parameters."""
    operators: Counter[str] = Counter(
        f"{node.domain}.{node.op_type}" if node.domain not in {"", "ai.onnx"} else node.op_type
        for graph in _graphs(model)
        for node in graph.node
    )
    outside = _external(model)
    return {
        "ir_version": model.ir_version,
        "opsets": {opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
        "producer": " ".join(map(_told, filter(None, (model.producer_name, model.producer_version))))[:200],
        "operators": dict(operators.most_common(200)),
        "parameters": _parameters(model),
        "metadata": {
            _told(p.key)[:200]: _told(p.value)[:1000] for p in model.metadata_props[:_METADATA_LIMIT]
        },
        **({"external_data": outside} if outside["files"] else {}),
    }


def _told(text: str | bytes) -> str:
    """Texts that are no UTF-8 come as bytes; whoever wrote one meant well in another encoding."""
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first non-empty line of an error's text, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= limit else f"{text[:limit]}…"


def _external(model: onnx.ModelProto) -> dict[str, Any]:
    """The files in which tensors keep their data, and how many bytes they say they have there."""
    outside = (tensor for tensor in tensors(model) if external_data_helper.uses_external_data(tensor))
    said = {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"}
    return {
        "files": sorted(path[:200] for path in said)[:_METADATA_LIMIT],
        "bytes": external_bytes(model) or 0,
    }


def _parameters(model: onnx.ModelProto) -> int:
    """Numbers the model learned: elements of tensors, and lists of floats in nodes (as trees do)."""
    lists = (
        len(attribute.floats)
        for graph in _graphs(model)
        for node in graph.node
        for attribute in node.attribute
    )
    return int(sum(math.prod(tensor.dims) for tensor in tensors(model)) + sum(lists))


def _unreadable(kind: Kind) -> Invalid:
    if kind is ONNX:
        return Invalid(
            "The file begins like an ONNX model but cannot be read to the end: it is damaged or truncated.",
            field="artifact",
            hint="Upload it again, or export it again.",
        )
    return Invalid(f"The file is {kind.title}, not an ONNX model.", field="artifact", hint=kind.hint)


def _check_versions(model: onnx.ModelProto) -> None:
    if model.ir_version > onnx.IR_VERSION:
        raise Invalid(
            f"The model has IR version {model.ir_version}; the newest supported is {onnx.IR_VERSION}.",
            field="artifact",
            hint="Export it with an older onnx, or set model.ir_version before saving.",
        )
    known = {"": defs.onnx_opset_version(), "ai.onnx.ml": defs.onnx_ml_opset_version()}
    known["ai.onnx"] = known[""]
    for opset in model.opset_import:
        newest = known.get(opset.domain)
        if newest is not None and opset.version > newest:
            raise Invalid(
                f"The model uses opset {opset.version} of {opset.domain or 'ai.onnx'}; "
                f"the newest supported is {newest}.",
                field="artifact",
                hint=f"Export it with target_opset={newest} or less.",
            )


def check_external_data(model: onnx.ModelProto, folder: Path | None) -> None:
    """`Invalid` unless every tensor that is kept outside the file is kept inside the folder."""
    for tensor in tensors(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        said = {entry.key: entry.value for entry in tensor.external_data}
        location = said.get("location", "")
        path = PurePosixPath(location.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or ":" in location[:3]
        if not outside and folder is not None and _holds(folder / path, said):
            continue
        where = "outside the model's folder, which is never read" if outside else "which is not in the upload"
        if not outside and folder is not None and (folder / path).is_file():
            where = "which is too short for it"
        hint = "Save the model as one file: onnx.save(model, path, save_as_external_data=False)."
        raise Invalid(
            f"Tensor {tensor.name[:80]!r} keeps its data in {location[:200]!r}, {where}.",
            field="artifact",
            hint=hint if folder is None else "Register the folder as onnx.save wrote it.",
        )


def external_bytes(model: onnx.ModelProto) -> int | None:
    """Bytes that the model's tensors say they have outside the file, at least; None when none is outside."""
    outside = [tensor for tensor in tensors(model) if external_data_helper.uses_external_data(tensor)]
    said = (entry.value for tensor in outside for entry in tensor.external_data if entry.key == "length")
    return sum(int(value[:20]) for value in said if value.isdecimal()) if outside else None


def _holds(path: Path, said: Mapping[str, str]) -> bool:
    """Whether a plain file there has the bytes that a tensor's `external_data` names."""
    try:
        offset, length = int(said.get("offset", "0")), int(said.get("length", "0"))
    except ValueError:
        return False
    plain = path.is_file() and not path.is_symlink()
    return plain and min(offset, length) >= 0 and offset + length <= path.stat().st_size


def _without_external_data(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose outside tensors are inputs: the checker judges the graph; the data was judged before."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in list(copy.graph.initializer):
        if external_data_helper.uses_external_data(tensor):
            copy.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
            copy.graph.initializer.remove(tensor)
    return copy


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor with data: initialisers, sparse ones, and those inside node attributes."""
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """The main graph, every nested one, and the bodies of local functions."""
    pending: list[Any] = [model.graph, *model.functions]
    while pending:
        graph = pending.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    pending.append(attribute.g)
                pending.extend(attribute.graphs)
