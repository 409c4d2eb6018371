"""A block of lines at the bottom of a terminal that is drawn anew in place."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def cut(text: str, width: int) -> str:
    """The text in at most `width` columns; styles count nothing and are closed."""
    if len(_STYLE.sub("", text)) <= width:
        return text
    kept, room = "", width - 1
    for piece in re.split(f"({_STYLE.pattern})", text):
        if _STYLE.fullmatch(piece):
            kept += piece
        else:
            kept += piece[:room]
            room -= len(piece[:room])
    return f"{kept}…\x1b[0m"


@dataclass
class Screen:
    """The block; what is above it scrolls as ever."""

    stream: IO[Any] = field(default_factory=lambda: sys.stdout)
    height: int = 0

    def draw(self, lines: Sequence[str], above: Sequence[str] = ()) -> None:
        """The block with these lines, and before it lines that stay."""
        columns, rows = shutil.get_terminal_size()
        # A block as high as the terminal would scroll, and could not be drawn over.
        if os.environ.get("NO_COLOR"):
            lines, above = ([_STYLE.sub("", text) for text in texts] for texts in (lines, above))
        shown = [cut(text, columns - 1) for text in lines][: max(1, rows - 1)]
        up = f"\x1b[{self.height}F\x1b[J" if self.height else ""
        self.stream.write(up + "".join(f"{text}\n" for text in [*above, *shown]))
        self.stream.flush()
        self.height = len(shown)
