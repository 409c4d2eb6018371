"""What the features of a model are called, when nobody said it at registration.

The model's own metadata comes first, then the header of the table that its reference rows came in: whoever
writes a CSV with the columns of the training table has named them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import onnx

from registry.domain.draft import parse_feature_names
from registry.domain.signature import Signature
from registry.domain.text import listed
from registry.errors import Invalid
from registry.inspect.baseline import Finding, finding
from registry.inspect.reference import Reference

_SHOWN = 12


def own_names(model: onnx.ModelProto, signature: Signature) -> list[str]:
    """`feature_names` of the ONNX metadata, a JSON list, if they fit the only input: what the model server
    calls them, too. Empty otherwise."""
    text = next((item.value for item in model.metadata_props if item.key == "feature_names"), "")
    try:
        return _fitting(json.loads(text) if text else [], signature) if len(signature.inputs) == 1 else []
    except (ValueError, RecursionError):
        return []


def names_from(
    reference: Reference, known: Sequence[str], signature: Signature
) -> tuple[list[str], list[Finding]]:
    """The features' names, now that the reference set is there too, and what to know of its header.

    A table whose header has no `known` name was read by the order of its columns.
    """
    header = reference.by_position
    wanted = signature.column_names(known) or []
    if not header or header == wanted or _is_counted(header):
        return list(known), []
    told = listed(header, _SHOWN)
    if _numbers(header):
        message = f"The reference set's first line, {told}, was read as names of columns, not as a row."
        return list(known), [finding("reference_without_names", message)]
    if known:
        lacks = next(name for name in wanted if name not in header)
        message = f"The reference set has no column {lacks!r}; its columns were taken in their order: {told}."
        return list(known), [finding("reference_by_position", message)]
    names = _fitting(header, signature)
    told = f"The reference set names the features, in the model's order: {told}."
    return names, [finding("features_named", told, "info")] if names else []


def _fitting(names: object, signature: Signature) -> list[str]:
    """The names, if they could have been said at registration."""
    try:
        features = parse_feature_names(names)
    except Invalid:
        return []
    return features if features and signature.column_names(features) else []


def _numbers(header: Sequence[str]) -> list[float]:
    """The header as numbers; empty when it has names."""
    try:
        return [float(name) for name in header]
    except ValueError:
        return []


def _is_counted(header: Sequence[str]) -> bool:
    """Whether it is 0, 1, 2 and so on, as pandas writes columns that have no names."""
    return _numbers(header) == list(range(len(header)))
