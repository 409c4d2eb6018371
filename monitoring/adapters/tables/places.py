"""Where people may have tables read and written: below the places that the settings name, nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from registry.errors import Invalid


def shown(place: str) -> str:
    """The place without keys in front of the bucket and without options behind it."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True)
class Places:
    """`roots` are folders and `s3://bucket/prefix?options`; options never come from people."""

    roots: Sequence[str]

    def shown(self) -> list[str]:
        """The roots as people may see them."""
        return [shown(root) for root in self.roots]

    def resolve(self, place: str, *, field: str) -> str:
        """The full place that `place` means; Invalid names those that are allowed."""
        if "?" in place or "#" in place or "@" in place or ".." in place.split("/"):
            raise Invalid("A place has no options, keys or dots in it.", field=field, hint=self._hint())
        for root in self.roots:
            found = _remote(root, place) if "://" in root else _local(root, place)
            if found:
                return found
        raise Invalid("Tables may not be kept there.", field=field, hint=self._hint())

    def _hint(self) -> str:
        if not self.roots:
            return "SLIPWAY_TABLES names no place."
        return f"Name something below {' or '.join(self.shown())}."


def _remote(root: str, place: str) -> str:
    base, _, options = root.partition("?")
    visible = shown(base).rstrip("/")
    if place != visible and not place.startswith(f"{visible}/"):
        return ""
    return base.rstrip("/") + place[len(visible) :] + (f"?{options}" if options else "")


def _local(root: str, place: str) -> str:
    """Links are followed first, so that none leads out."""
    if "://" in place:
        return ""
    folder, found = Path(root).resolve(), Path(root, place).resolve()
    return str(found) if found.is_relative_to(folder) else ""
