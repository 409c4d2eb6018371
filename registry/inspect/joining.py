"""One ONNX file of a model whose tensors lie beside it, as `mlflow.onnx.log_model` writes them."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import external_data_helper

from registry.errors import Invalid
from registry.inspect.graph import check_external_data, external_bytes, load_model, tensors
from registry.inspect.sniff import sniff

_LARGEST = (2 << 30) - (1 << 20)


def join(path: str, into: str) -> bool:
    """Write the model with its external data as the one file `into`; False when it has none.

    `Invalid` for a damaged file, for data that is missing or outside the file's folder, and beyond 2 GiB.
    """
    file = Path(path)
    model = load_model(file, sniff(file))
    outside = external_bytes(model)
    if outside is None:
        return False
    check_external_data(model, file.parent)
    if model.ByteSize() + outside > _LARGEST:
        raise Invalid(
            "With its external data the model is larger than 2 GiB, which no single ONNX file can be.",
            field="artifact",
            hint="Register the folder by REST or on the page; our model server cannot run it.",
        )
    for tensor in tensors(model):
        if external_data_helper.uses_external_data(tensor):
            _take_in(tensor, file.parent)
    onnx.save_model(model, into)
    return True


def _take_in(tensor: onnx.TensorProto, folder: Path) -> None:
    """ONNX's own reader refuses files with several links, which those of the artifact store are."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    with (folder / said["location"]).open("rb") as data:
        data.seek(int(said.get("offset", "0")))
        tensor.raw_data = data.read(int(said["length"]) if "length" in said else -1)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT
