"""What a model takes and gives: named tensors with a type and a shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.domain.text import clean_line
from registry.errors import Invalid

Dimension = int | str | None
# What a person may name; what an inspection found may be more.
DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32",
    "float64", "bfloat16", "string",
)  # fmt: skip
MOST_TENSORS = 1000
MOST_DIMENSIONS = 32


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output.

    `dtype` is numpy's name (`float32`, `int64`, `string`, `bool`…), or ONNX's description for what is no
    tensor (`seq(map(int64,tensor(float)))`). A dimension is a number, a name for a size that each request
    chooses, or None.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]

    @property
    def is_tensor(self) -> bool:
        """False for sequences and maps, which no tensor protocol can carry."""
        return "(" not in self.dtype

    @property
    def width(self) -> int | None:
        """Columns per row of a table-like tensor: 1 for `[N]`, F for `[N, F]`, None for anything else."""
        if len(self.shape) == 1:
            return 1
        if len(self.shape) == 2 and isinstance(self.shape[1], int):
            return self.shape[1]
        return None

    @property
    def takes_batches(self) -> bool:
        """True when the first dimension is free."""
        return bool(self.shape) and not isinstance(self.shape[0], int)

    def shape_text(self) -> str:
        """The shape as people read it, `[N, 10]`."""
        return "[" + ", ".join("?" if d is None else str(d) for d in self.shape) + "]"

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Tensor:
        """Inverse of `to_dict`."""
        return cls(value["name"], value["dtype"], tuple(value["shape"]))


@dataclass(frozen=True, slots=True)
class Signature:
    """A model's inputs and outputs, in the order the model declares them."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form: `{"inputs": [{"name", "dtype", "shape"}…], "outputs": […]}`."""
        return {"inputs": [t.to_dict() for t in self.inputs], "outputs": [t.to_dict() for t in self.outputs]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Signature:
        """Inverse of `to_dict`; an empty document is a signature without tensors."""
        return cls(
            tuple(Tensor.from_dict(t) for t in value.get("inputs", ())),
            tuple(Tensor.from_dict(t) for t in value.get("outputs", ())),
        )

    def column_names(self, feature_names: Sequence[str] = ()) -> list[str] | None:
        """A name per input column, tensor by tensor: the given names, or names made from the tensors'.

        None when an input is no table, or when the number of given names does not fit.
        """
        widths = [t.width for t in self.inputs]
        if not widths or any(w is None for w in widths):
            return None
        total = sum(w or 0 for w in widths)
        if feature_names:
            return list(feature_names) if len(feature_names) == total else None
        return [
            t.name if t.width == 1 else f"{t.name}_{column}"
            for t in self.inputs
            for column in range(t.width or 0)
        ]


def parse_signature(value: Any, field: str = "signature") -> dict[str, Any]:
    """What somebody says of a file that does not tell: `Signature.to_dict`'s form, or `{}` for nothing.

    Raises `Invalid` with the path of the field at fault.
    """
    if value in (None, {}):
        return {}
    if not isinstance(value, Mapping) or set(value) != {"inputs", "outputs"}:
        raise Invalid("It must have `inputs` and `outputs`, and nothing else.", field=field)
    sides = {side: _tensors(value[side], f"{field}.{side}") for side in ("inputs", "outputs")}
    return Signature(sides["inputs"], sides["outputs"]).to_dict()


def _tensors(value: Any, field: str) -> tuple[Tensor, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not 1 <= len(value) <= MOST_TENSORS:
        raise Invalid(f"It must be a list of 1 to {MOST_TENSORS} tensors.", field=field)
    found = tuple(_tensor(item, f"{field}[{at}]") for at, item in enumerate(value))
    if len({tensor.name for tensor in found}) != len(found):
        raise Invalid("Two tensors have the same name.", field=field)
    return found


def _tensor(value: Any, field: str) -> Tensor:
    if not isinstance(value, Mapping) or set(value) != {"name", "dtype", "shape"}:
        raise Invalid("A tensor is an object with `name`, `dtype` and `shape`.", field=field)
    shape = value["shape"]
    sizes = isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) <= MOST_DIMENSIONS
    if not sizes or not all(_is_dimension(size) for size in shape):
        raise Invalid(
            "A shape is a list of sizes; null or a name for one that is free.", field=f"{field}.shape"
        )
    if value["dtype"] not in DTYPES:
        raise Invalid(f"It must be one of {', '.join(DTYPES)}.", field=f"{field}.dtype")
    name = clean_line(value["name"], field=f"{field}.name", maximum=200, required=True)
    return Tensor(name, value["dtype"], tuple(shape))


def _is_dimension(size: Any) -> bool:
    if isinstance(size, bool):
        return False
    return (
        size is None
        or (isinstance(size, int) and 0 < size < 2**31)
        or (isinstance(size, str) and 0 < len(size) <= 60 and size.isidentifier())
    )


def differences(old: Signature, new: Signature) -> list[str]:
    """What a client of `old` would notice when served by `new`: one sentence per difference."""
    found = []
    for what, before, after in (("input", old.inputs, new.inputs), ("output", old.outputs, new.outputs)):
        was, now = {t.name: t for t in before}, {t.name: t for t in after}
        found += [f"{what} {name!r} is gone" for name in was if name not in now]
        found += [f"{what} {name!r} is new" for name in now if name not in was]
        found += [
            f"{what} {name!r} was {was[name].dtype} {was[name].shape_text()}, "
            f"is {now[name].dtype} {now[name].shape_text()}"
            for name in was
            if name in now and not _alike(was[name], now[name])
        ]
    return found


def _alike(a: Tensor, b: Tensor) -> bool:
    def sizes(tensor: Tensor) -> list[int | None]:
        return [d if isinstance(d, int) else None for d in tensor.shape]

    return a.dtype == b.dtype and sizes(a) == sizes(b)
