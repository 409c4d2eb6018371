"""What the model servers of an environment can run, asked before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Serves:
    """Formats by the names that inspection gives them.

    by: who, for sentences. files: formats of single files. folders: formats of folders. signed: those of
    them whose inputs and outputs must be known, since neither the file nor the server tells them.
    """

    by: str = "the model server"
    files: tuple[str, ...] = ("onnx",)
    folders: tuple[str, ...] = ("onnx",)
    signed: tuple[str, ...] = ()

    def refusal(self, code: str, folder: bool, signature: Mapping[str, Any]) -> str:
        """Why a ready version of this format cannot be run here; "" when it can."""
        if code not in (self.folders if folder else self.files):
            return f"is {_shape(code, folder)}; {self.by} runs {self.known}"
        if code in self.signed and not (signature.get("inputs") and signature.get("outputs")):
            return (
                f"has no signature, and {self.by} must be told the inputs and outputs of {code}: "
                "register it with `signature` in its metadata"
            )
        return ""

    @property
    def known(self) -> str:
        """`onnx as a single file, savedmodel as a folder`."""
        shapes = [_shape(code, False) for code in self.files] + [_shape(code, True) for code in self.folders]
        return ", ".join(shapes) or "nothing"


def _shape(code: str, folder: bool) -> str:
    return f"{code or 'of no known format'} as a {'folder' if folder else 'single file'}"


OURS = Serves()
