"""A table's columns as a model's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from registry.domain.signature import Signature, Tensor
from registry.errors import Invalid
from registry.models import Version

if TYPE_CHECKING:
    from monitoring.adapters.tables.reading import Columns


def wanted(version: Version) -> dict[str, str]:
    """The type of each column that the version takes, by the names of tensors and of features."""
    signature = Signature.from_dict(version.signature)
    found = {tensor.name: tensor.dtype for tensor in signature.inputs}
    names = iter(signature.column_names(version.feature_names) or ())
    for tensor in signature.inputs:
        found |= {name: tensor.dtype for name, _ in zip(names, range(tensor.width or 0), strict=False)}
    return found


def feeds(version: Version, columns: Columns) -> dict[str, NDArray[Any]]:
    """The model's inputs from a chunk: by the tensors' names, else columns by the features' names.

    Raises Invalid that names what is missing.
    """
    signature = Signature.from_dict(version.signature)
    if all(_fits(tensor, columns) for tensor in signature.inputs):
        return {tensor.name: _typed(columns[tensor.name], tensor) for tensor in signature.inputs}
    names = signature.column_names(version.feature_names)
    if names is None:
        tensors = ", ".join(tensor.name for tensor in signature.inputs)
        raise Invalid(f"{version.ref} takes no table: give the arrays {tensors} as NPZ.")
    missing = [name for name in names if name not in columns]
    if missing:
        more = f" and {len(missing) - 12} more" if len(missing) > 12 else ""
        raise Invalid(f"the input lacks the columns {', '.join(missing[:12])}{more}.")
    found, at = {}, 0
    for tensor in signature.inputs:
        own = [columns[name] for name in names[at : at + (tensor.width or 0)]]
        at += len(own)
        found[tensor.name] = _typed(own[0] if len(tensor.shape) == 1 else np.column_stack(own), tensor)
    return found


def _fits(tensor: Tensor, columns: Columns) -> bool:
    return tensor.name in columns and columns[tensor.name].ndim == len(tensor.shape)


def _typed(values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    try:
        return values.astype(object if tensor.dtype == "string" else tensor.dtype)
    except (TypeError, ValueError) as error:
        raise Invalid(f"the input {tensor.name} must be {tensor.dtype}: {error}") from error
